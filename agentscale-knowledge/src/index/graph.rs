//! The approximate part: one hannoy graph a partition, in one LMDB environment of their own.

mod search;

use std::path::Path;

use agentscale_core::{Error, ErrorKind, Result};
use hannoy::distances::Cosine;
use hannoy::internals::{KeyCodec, NodeCodec};
use hannoy::{Reader, Writer};
use heed::Database;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rayon::ThreadPool;
use roaring::RoaringBitmap;

use self::search::Search;
use super::env::{self, LmdbEnv};
use super::error::{graph as graph_error, native};
use super::nearest::Nearest;
use super::{IndexConfig, vector};

const GRAPHS: &str = "graphs";
/// Links a node in the upper layers and in the lowest.
const LINKS: usize = 16;
const LINKS_AT_BASE: usize = 32;
/// The share of its items that a graph must find by their own vectors. hannoy's changes of a graph leave some out of
/// reach, and now and then most: a new graph over the same items reaches them all.
const REACHED: f64 = 0.97;

type Graphs<'e> = Database<'e, KeyCodec, NodeCodec<Cosine>>;

#[derive(Debug)]
pub(super) struct Graph {
    env: LmdbEnv,
    builders: ThreadPool,
    config: IndexConfig,
}

/// What a build changes.
#[derive(Debug)]
pub(super) struct Merge {
    pub(super) added: Vec<(u32, Vec<u8>)>,
    pub(super) dead: RoaringBitmap,
}

impl Graph {
    pub(super) fn open(dir: &Path, config: &IndexConfig) -> Result<Self> {
        let env = env::open(dir, config.map_bytes)?;
        env::create::<KeyCodec, NodeCodec<Cosine>>(&env, GRAPHS)
            .map_err(|error| native("open vector index", error))?;
        let builders = rayon::ThreadPoolBuilder::new()
            .num_threads(config.build_threads)
            .thread_name(|i| format!("index-build-{i}"))
            .build()
            .map_err(|error| Error::new(ErrorKind::Unavailable, "start index threads").with_source(error))?;
        Ok(Self { env, builders, config: config.clone() })
    }

    /// Applies `merge` to graph `number` and links the nodes anew, in one transaction.
    pub(super) fn build(
        &self,
        number: u16,
        merge: &Merge,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<()> {
        self.builders.install(|| self.build_here(number, merge, cancelled))
    }

    fn build_here(&self, number: u16, merge: &Merge, cancelled: &(dyn Fn() -> bool + Sync)) -> Result<()> {
        let failed = |error: hannoy::Error| graph_error("build graph", error);
        let table: Graphs<'_> =
            env::table(&self.env, GRAPHS).map_err(|error| native("build graph", error))?;
        let mut txn = env::write_txn(&self.env).map_err(|error| native("build graph", error))?;
        let writer = Writer::<Cosine>::new(table, number, self.config.dimensions);
        for item in &merge.dead {
            writer.del_item(&mut txn, item).map_err(failed)?;
        }
        for (item, bytes) in &merge.added {
            if !writer.contains_item(&txn, *item).map_err(failed)? {
                writer.add_item(&mut txn, *item, &vector::from_bytes(bytes)).map_err(failed)?;
            }
        }
        if writer.is_empty(&txn).map_err(failed)? {
            writer.clear(&mut txn).map_err(failed)?;
        } else if writer.need_build(&txn).map_err(failed)? {
            // The layers of a graph are drawn at random; a seed makes two builds of the same data alike, and
            // another one for each build puts the entry points elsewhere than among the oldest, which go first.
            let newest = merge.added.last().map_or(0, |(item, _)| *item);
            let mut layers = SmallRng::seed_from_u64(u64::from(number) << 32 | u64::from(newest));
            let mut builder = writer.builder(&mut layers);
            builder.ef_construction(self.config.ef_construction).cancel(cancelled);
            builder.build::<LINKS, LINKS_AT_BASE>(&mut txn).map_err(failed)?;
            let reader = Reader::<Cosine>::open(&txn, number, table).map_err(failed)?;
            if search::reached(&reader, &txn, &self.config).map_err(failed)? < REACHED {
                tracing::info!(graph = number, "items are out of reach; the graph is linked anew");
                builder.force_rebuild::<LINKS, LINKS_AT_BASE>(&mut txn).map_err(failed)?;
            }
        }
        env::commit(&self.env, txn).map_err(|error| native("build graph", error))
    }

    /// Offers the nearest items of graph `number` that are allowed and not dead.
    pub(super) fn search(
        &self,
        number: u16,
        query: &[f32],
        limit: usize,
        (dead, allowed): (&RoaringBitmap, Option<&RoaringBitmap>),
        nearest: &mut Nearest,
    ) -> Result<()> {
        let failed = |error| graph_error("search graph", error);
        let table: Graphs<'_> =
            env::table(&self.env, GRAPHS).map_err(|error| native("search graph", error))?;
        let txn = self.env.read_txn().map_err(|error| native("search graph", error))?;
        let reader = match Reader::<Cosine>::open(&txn, number, table) {
            Ok(reader) => reader,
            Err(hannoy::Error::MissingMetadata(_)) => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let live = match allowed {
            Some(allowed) => Some((reader.item_ids() & allowed) - dead),
            None if dead.is_empty() => None,
            None => Some(reader.item_ids() - dead),
        };
        let search = Search { reader: &reader, txn: &txn, query, limit, config: &self.config };
        search.run(live.as_ref(), nearest).map_err(failed)
    }
}
