//! Forks begin with the deltas of another thread instead of a copy, and hold them as long as they need them.

use agentscale_core::checkpoint::{At, CheckpointInfo, Version};
use agentscale_core::{AgentId, Result};
use sqlx::{Row, SqliteConnection};

use super::read;
use crate::checkpoint::stored::json;
use crate::sqlite::map_error;

/// Threads whose deltas one fork shares, at most: a fork of a fork shares those of both.
const MOST_SOURCES: i64 = 16;

/// A checkpoint to fork from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) info: CheckpointInfo,
    pub(super) base_bytes: i64,
    pub(super) chain_bytes: i64,
    thread: i64,
    version: i64,
    base: i64,
    /// The row of its base, and of how many threads that shares deltas.
    base_row: i64,
    shared: i64,
}

impl Source {
    pub(super) async fn read(
        connection: &mut SqliteConnection,
        from: &AgentId,
        at: At,
    ) -> Result<Option<Self>> {
        let failed = || map_error("read source of fork");
        let version = match at {
            At::Version(version) => Some(version.0.cast_signed()),
            _ => None,
        };
        let row = sqlx::query(concat!(
            "SELECT ",
            read::info_columns!(),
            ", c.base_bytes, c.chain_bytes, c.thread, c.base, b.id, \
               (SELECT count(*) FROM shares WHERE checkpoint = b.id) \
             FROM threads t \
             JOIN checkpoints c ON c.thread = t.id AND NOT c.ghost \
               AND c.version = coalesce(?4, (SELECT max(version) FROM checkpoints WHERE thread = t.id)) \
             JOIN checkpoints b ON b.thread = t.id AND b.version = c.base \
             WHERE t.tenant = ?1 AND t.type = ?2 AND t.key = ?3"
        ))
        .bind(from.tenant.as_str())
        .bind(from.agent_type.as_str())
        .bind(from.key.as_str())
        .bind(version)
        .fetch_optional(connection)
        .await
        .map_err(failed())?;
        let Some(row) = row else { return Ok(None) };
        let number = |column: usize| row.try_get::<i64, _>(column).map_err(failed());
        let info = read::info(&row, from)?;
        Ok(Some(Self {
            version: info.version.0.cast_signed(),
            info,
            base_bytes: number(10)?,
            chain_bytes: number(11)?,
            thread: number(12)?,
            base: number(13)?,
            base_row: number(14)?,
            shared: number(15)?,
        }))
    }

    /// Whether a fork may share its deltas; where not, it copies the state.
    pub(super) fn can_be_shared(&self) -> bool {
        self.shared < MOST_SOURCES
    }

    /// Lets the first checkpoint of the thread `fork` begin with these deltas.
    pub(super) async fn share_with(&self, connection: &mut SqliteConnection, fork: i64) -> Result<()> {
        sqlx::query(
            "INSERT INTO shares (checkpoint, place, source, first, last) \
             SELECT c.id, s.place, s.source, s.first, s.last FROM checkpoints c JOIN shares s ON s.checkpoint = ?2 \
             WHERE c.thread = ?1 AND c.version = 1 \
             UNION ALL SELECT id, ?3, ?4, ?5, ?6 FROM checkpoints WHERE thread = ?1 AND version = 1",
        )
        .bind(fork)
        .bind(self.base_row)
        .bind(self.shared)
        .bind(self.thread)
        .bind(self.base)
        .bind(self.version)
        .execute(connection)
        .await
        .map_err(map_error("fork thread"))?;
        Ok(())
    }

    pub(super) fn version(&self) -> Version {
        self.info.version
    }
}

/// Whether forks share deltas of a thread.
pub(super) async fn are_taken_of(connection: &mut SqliteConnection, thread: i64) -> Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM shares WHERE source = ?1)")
        .bind(thread)
        .fetch_one(connection)
        .await
        .map_err(map_error("read shares"))
}

/// Removes checkpoints that no fork shares, with what they shared themselves; how many.
///
/// Those of deleted threads that nobody shares any more go with them: no pruning would come by. Those of other threads
/// go when their thread is pruned next.
pub(super) async fn remove(connection: &mut SqliteConnection, rows: Vec<i64>) -> Result<u64> {
    let failed = || map_error("prune");
    let (mut removed, mut rows) = (0, rows);
    while !rows.is_empty() {
        let listed = json(&rows);
        let gone = sqlx::query(
            "DELETE FROM checkpoints WHERE id IN (SELECT value FROM json_each(?1)) AND NOT EXISTS \
               (SELECT 1 FROM shares s WHERE s.source = thread AND version BETWEEN s.first AND s.last)",
        )
        .bind(listed.as_str())
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
        removed += gone.rows_affected();
        let sources: Vec<i64> = sqlx::query_scalar(
            "DELETE FROM shares WHERE checkpoint IN (SELECT value FROM json_each(?1)) \
             AND NOT EXISTS (SELECT 1 FROM checkpoints WHERE id = checkpoint) RETURNING source",
        )
        .bind(listed.as_str())
        .fetch_all(&mut *connection)
        .await
        .map_err(failed())?;
        rows = if sources.is_empty() { Vec::new() } else { left_of_deleted(connection, &sources).await? };
    }
    Ok(removed)
}

/// Rows of deleted threads, by the numbers that these left to their sharers, which nobody shares any more.
async fn left_of_deleted(connection: &mut SqliteConnection, numbers: &[i64]) -> Result<Vec<i64>> {
    sqlx::query_scalar(
        "SELECT c.id FROM (SELECT DISTINCT value AS number FROM json_each(?1)) j \
         CROSS JOIN checkpoints c ON c.thread = j.number \
         WHERE NOT EXISTS (SELECT 1 FROM threads WHERE id = j.number) AND NOT EXISTS \
           (SELECT 1 FROM shares s WHERE s.source = c.thread AND c.version BETWEEN s.first AND s.last)",
    )
    .bind(json(&numbers))
    .fetch_all(connection)
    .await
    .map_err(map_error("prune"))
}
