//! Vectors that are in no graph: scanned exactly, in one LMDB environment of their own, so that writing
//! them never waits for the build of a graph.

use std::path::Path;

use agentscale_core::{Error, ErrorKind, Result};
use heed::types::{Bytes, Str};
use heed::{Database, RoTxn, RwTxn};
use roaring::RoaringBitmap;

use super::env::{self, LmdbEnv};
use super::error::native;
use super::nearest::{Nearest, Scored};
use super::partition::PartitionState;
use super::vector::dot_bytes;

const VECTORS: &str = "vectors";
const PARTITIONS: &str = "partitions";
const META: &str = "meta";

#[derive(Debug)]
pub(super) struct Pending {
    env: LmdbEnv,
}

/// The tables, for as long as one operation runs.
#[derive(Clone, Copy)]
pub(super) struct Tables<'e> {
    vectors: Database<'e, Bytes, Bytes>,
    partitions: Database<'e, Bytes, Bytes>,
    meta: Database<'e, Str, Bytes>,
}

impl Pending {
    pub(super) fn open(dir: &Path, map_bytes: usize) -> Result<Self> {
        let env = env::open(dir, map_bytes)?;
        for table in [VECTORS, PARTITIONS] {
            env::create::<Bytes, Bytes>(&env, table).map_err(|e| native("open vector index", e))?;
        }
        env::create::<Str, Bytes>(&env, META).map_err(|e| native("open vector index", e))?;
        Ok(Self { env })
    }

    pub(super) fn read<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Tables<'_>, &RoTxn<'_>) -> Result<T>,
    ) -> Result<T> {
        let tables = self.tables().map_err(|error| native(operation, error))?;
        let txn = self.env.read_txn().map_err(|error| native(operation, error))?;
        work(tables, &txn)
    }

    pub(super) fn write<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Tables<'_>, &mut RwTxn<'_>) -> Result<T>,
    ) -> Result<T> {
        let tables = self.tables().map_err(|error| native(operation, error))?;
        let mut txn = env::write_txn(&self.env).map_err(|error| native(operation, error))?;
        let value = work(tables, &mut txn)?;
        env::commit(&self.env, txn).map_err(|error| native(operation, error))?;
        Ok(value)
    }

    fn tables(&self) -> heed::Result<Tables<'_>> {
        Ok(Tables {
            vectors: env::table(&self.env, VECTORS)?,
            partitions: env::table(&self.env, PARTITIONS)?,
            meta: env::table(&self.env, META)?,
        })
    }
}

impl Tables<'_> {
    pub(super) fn state(&self, txn: &RoTxn<'_>, partition: u32) -> Result<Option<PartitionState>> {
        let bytes = self.partitions.get(txn, &partition.to_be_bytes());
        bytes.map_err(|error| native("read partition", error))?.map(PartitionState::decode).transpose()
    }

    pub(super) fn put_state(
        &self,
        txn: &mut RwTxn<'_>,
        partition: u32,
        state: &PartitionState,
    ) -> Result<()> {
        let stored = self.partitions.put(txn, &partition.to_be_bytes(), &state.encode()?);
        stored.map_err(|error| native("write partition", error))
    }

    pub(super) fn states(&self, txn: &RoTxn<'_>) -> Result<Vec<(u32, PartitionState)>> {
        let entries = self.partitions.iter(txn).map_err(|error| native("list partitions", error))?;
        entries
            .map(|entry| {
                let (key, bytes) = entry.map_err(|error| native("list partitions", error))?;
                let number = <[u8; 4]>::try_from(key)
                    .map_err(|_| Error::new(ErrorKind::Corrupt, "list partitions"))?;
                Ok((u32::from_be_bytes(number), PartitionState::decode(bytes)?))
            })
            .collect()
    }

    pub(super) fn meta(&self, txn: &RoTxn<'_>, name: &str) -> Result<Option<Vec<u8>>> {
        let bytes = self.meta.get(txn, name).map_err(|error| native("read index state", error))?;
        Ok(bytes.map(<[u8]>::to_vec))
    }

    pub(super) fn put_meta(&self, txn: &mut RwTxn<'_>, name: &str, value: &[u8]) -> Result<()> {
        self.meta.put(txn, name, value).map_err(|error| native("write index state", error))
    }

    pub(super) fn contains(&self, txn: &RoTxn<'_>, partition: u32, item: u32) -> Result<bool> {
        let found = self.vectors.get(txn, &key(partition, item));
        Ok(found.map_err(|error| native("read vector", error))?.is_some())
    }

    /// Whether the item is new.
    pub(super) fn put(&self, txn: &mut RwTxn<'_>, partition: u32, item: u32, vector: &[u8]) -> Result<bool> {
        let new = !self.contains(txn, partition, item)?;
        let stored = self.vectors.put(txn, &key(partition, item), vector);
        stored.map_err(|error| native("write vector", error))?;
        Ok(new)
    }

    /// Whether the item was there.
    pub(super) fn delete(&self, txn: &mut RwTxn<'_>, partition: u32, item: u32) -> Result<bool> {
        let deleted = self.vectors.delete(txn, &key(partition, item));
        deleted.map_err(|error| native("delete vector", error))
    }

    /// Calls `visit` with each item and its bytes, in the order of their numbers.
    pub(super) fn each(
        &self,
        txn: &RoTxn<'_>,
        partition: u32,
        mut visit: impl FnMut(u32, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let prefix = partition.to_be_bytes();
        let entries = self.vectors.prefix_iter(txn, &prefix);
        for entry in entries.map_err(|error| native("scan vectors", error))? {
            let (key, vector) = entry.map_err(|error| native("scan vectors", error))?;
            let item = key.last_chunk::<4>().ok_or_else(|| Error::new(ErrorKind::Corrupt, "scan vectors"))?;
            visit(u32::from_be_bytes(*item), vector)?;
        }
        Ok(())
    }

    pub(super) fn scan(
        &self,
        txn: &RoTxn<'_>,
        partition: u32,
        query: &[f32],
        allowed: Option<&RoaringBitmap>,
        nearest: &mut Nearest,
    ) -> Result<()> {
        self.each(txn, partition, |item, vector| {
            if allowed.is_none_or(|allowed| allowed.contains(item)) {
                nearest.offer(Scored { item, similarity: dot_bytes(query, vector) });
            }
            Ok(())
        })
    }
}

fn key(partition: u32, item: u32) -> [u8; 8] {
    ((u64::from(partition) << 32) | u64::from(item)).to_be_bytes()
}
