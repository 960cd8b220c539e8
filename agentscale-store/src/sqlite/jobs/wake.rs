//! How workers learn that there is something to claim.

use std::time::Duration;

use agentscale_core::Result;
use agentscale_core::jobs::QueueName;
use sqlx::{AssertSqlSafe, Row, SqlitePool};

use super::standing::READY;
use crate::checkpoint::stored::json;
use crate::sqlite::map_error;

/// What a look at the file shows.
#[derive(Debug)]
pub(super) struct Seen {
    /// Queues with a job that is ready.
    pub(super) ready: Vec<QueueName>,
    /// How long until a wait or a claim ends; nothing where one has ended.
    pub(super) due: Option<Duration>,
}

pub(super) async fn look(readers: &SqlitePool, queues: &[QueueName], now: u64) -> Result<Seen> {
    let failed = || map_error("look for jobs");
    let names: Vec<&str> = queues.iter().map(QueueName::as_str).collect();
    let text = format!(
        "SELECT q.key, (SELECT min(due) FROM jobs WHERE due IS NOT NULL) FROM (SELECT -1 AS key, NULL AS value \
         UNION ALL SELECT key, value FROM json_each(?1)) q \
         WHERE q.key < 0 OR EXISTS (SELECT 1 FROM jobs WHERE queue = q.value AND state = {READY})"
    );
    let rows =
        sqlx::query(AssertSqlSafe(text)).bind(json(&names)).fetch_all(readers).await.map_err(failed())?;
    let mut seen = Seen { ready: Vec::new(), due: None };
    for row in rows {
        let place: i64 = row.try_get(0).map_err(failed())?;
        let due: Option<i64> = row.try_get(1).map_err(failed())?;
        seen.due = due.map(|due| Duration::from_micros(due.cast_unsigned().saturating_sub(now)));
        seen.ready.extend(usize::try_from(place).ok().and_then(|place| queues.get(place)).cloned());
    }
    Ok(seen)
}
