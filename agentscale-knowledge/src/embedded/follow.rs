//! The index follows the database: what was put and removed since it last looked.

use std::path::Path;
use std::sync::Arc;

use agentscale_core::{Error, ErrorKind, Result};
use agentscale_store::sqlite::map_error;
use sqlx::SqliteConnection;

use super::write;
use crate::index::{Change, IndexConfig, VectorIndex, vector};

const FOLLOW: &str = "follow knowledge";
const VECTORS: i64 = 1_000;
const REMOVALS: i64 = 10_000;

/// How far the index followed: the last item and the last removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Position {
    item: i64,
    removal: i64,
}

/// Opens the index of `identity`. One that cannot be read, or does not fit to the database, is discarded:
/// all of it can be derived again.
pub(super) async fn open_index(
    folder: &Path,
    identity: &[u8],
    config: &IndexConfig,
    writer: &mut SqliteConnection,
) -> Result<Arc<VectorIndex>> {
    let (folder, identity, config) = (folder.to_owned(), identity.to_owned(), config.clone());
    let opening = {
        let (folder, identity, config) = (folder.clone(), identity.clone(), config.clone());
        blocking(FOLLOW, move || VectorIndex::open(&folder, &identity, config))
    };
    let index = match opening.await {
        Err(error) if error.kind() == ErrorKind::Corrupt => None,
        other => Some(other?),
    };
    if let Some(index) = index {
        let position = position(&index)?;
        if fits(position, writer).await? {
            return Ok(Arc::new(index));
        }
    }
    tracing::warn!(folder = %folder.display(), "vector index is unusable and derived anew");
    let opening = blocking(FOLLOW, move || {
        VectorIndex::remove(&folder)?;
        VectorIndex::open(&folder, &identity, config)
    });
    opening.await.map(Arc::new)
}

/// Brings the index up to date. Answers whether a partition has outgrown its scan.
pub(super) async fn follow(writer: &mut SqliteConnection, index: &Arc<VectorIndex>) -> Result<bool> {
    let mut outgrown = false;
    let mut at = position(index)?;
    let from = at;
    loop {
        let puts: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
            "SELECT item, tenant, vector FROM versions \
             WHERE item > ? AND until IS NULL AND vector IS NOT NULL ORDER BY item LIMIT ?",
        )
        .bind(at.item)
        .bind(VECTORS)
        .fetch_all(&mut *writer)
        .await
        .map_err(map_error(FOLLOW))?;
        let removals: Vec<(i64, i64, i64)> =
            sqlx::query_as("SELECT item, tenant, seq FROM removed WHERE seq > ? ORDER BY seq LIMIT ?")
                .bind(at.removal)
                .bind(REMOVALS)
                .fetch_all(&mut *writer)
                .await
                .map_err(map_error(FOLLOW))?;
        let next = Position {
            item: puts.last().map_or(at.item, |row| row.0),
            removal: removals.last().map_or(at.removal, |row| row.2),
        };
        if next == at {
            break;
        }
        at = next;
        let index = index.clone();
        outgrown |= blocking(FOLLOW, move || apply(&index, puts, &removals, at)).await?;
    }
    if at.removal > from.removal {
        write::trim(writer, at.removal).await?;
    }
    Ok(outgrown)
}

fn apply(
    index: &VectorIndex,
    puts: Vec<(i64, i64, Vec<u8>)>,
    removals: &[(i64, i64, i64)],
    at: Position,
) -> Result<bool> {
    let mut changes = Vec::with_capacity(puts.len() + removals.len());
    for (item, tenant, bytes) in puts {
        let (partition, item) = (number(tenant)?, number(item)?);
        changes.push(Change::Put { partition, item, vector: vector::from_bytes(&bytes) });
    }
    for (item, tenant, _) in removals {
        changes.push(Change::Delete { partition: number(*tenant)?, item: number(*item)? });
    }
    index.apply(&changes, &at.encode())
}

/// Whether the database still lists everything that an index at this position has not seen, and has not
/// itself lost what the index has seen.
async fn fits(position: Position, writer: &mut SqliteConnection) -> Result<bool> {
    let (trimmed, items, removals): (i64, i64, i64) = sqlx::query_as(
        "SELECT trimmed, \
         coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'versions'), 0), \
         coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'removed'), 0) FROM store",
    )
    .fetch_one(writer)
    .await
    .map_err(map_error(FOLLOW))?;
    let new = position == Position::default();
    Ok(new || (position.removal >= trimmed && position.item <= items && position.removal <= removals))
}

fn position(index: &VectorIndex) -> Result<Position> {
    index.position()?.map_or(Ok(Position::default()), |bytes| Position::decode(&bytes))
}

impl Position {
    fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.item.to_be_bytes());
        bytes[8..].copy_from_slice(&self.removal.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| Error::new(ErrorKind::Corrupt, FOLLOW))?;
        let number = u128::from_be_bytes(bytes);
        Ok(Self { item: (number >> 64) as i64, removal: number as u64 as i64 })
    }
}

fn number(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|_| Error::new(ErrorKind::Corrupt, FOLLOW).with_context("number", value))
}

/// Runs what blocks away from the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(ErrorKind::Internal, operation).with_source(error))?
}
