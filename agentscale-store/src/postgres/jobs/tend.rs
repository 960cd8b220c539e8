use std::sync::Arc;
use std::time::Duration;

use sqlx::Row;
use tokio::time::sleep;

use super::config::PostgresJobConfig;
use super::row::micros;
use super::shared::Database;
use crate::postgres::Bound;

/// How often the ring is looked after while there is work.
const EVERY: Duration = Duration::from_millis(250);
/// Home and the current segment.
const QUIET: usize = 2;

/// Turns the ring of segments while the queue is in use, and until those that were left are empty.
pub(super) async fn run(database: Arc<Database>, config: PostgresJobConfig) {
    let mut live = QUIET;
    loop {
        sleep(EVERY).await;
        if !database.wake.was_active() && live <= QUIET {
            continue;
        }
        let bound = Bound::new().with(i64::from(config.segment_jobs)).with(micros(config.segment_age));
        match database.postgres.fetch(&database.statements.tend, bound).await {
            Ok(rows) => {
                // Nothing where another process is at it.
                let found = rows.first().and_then(|row| row.try_get::<Option<Vec<i16>>, _>(0).ok().flatten());
                live = found.map_or(live, |live| live.len());
            }
            Err(error) => tracing::warn!(%error, "the ring of jobs was not turned"),
        }
    }
}
