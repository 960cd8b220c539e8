//! Where jobs have come to, without what they contain.

use std::collections::HashMap;

use agentscale_core::Result;
use agentscale_core::jobs::{Epoch, JobId, JobState, Run, WorkerId};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::row;
use crate::checkpoint::stored::json;
use crate::sqlite::map_error;

pub(super) const READY: i64 = 0;
pub(super) const WAITING: i64 = 1;
pub(super) const RUNNING: i64 = 2;
pub(super) const DEAD: i64 = 3;

/// What [`fetch`] reads, in its order.
pub(super) const STANDING: &str = "seq, id, tenant, state, attempts, max_attempts, incarnation, counter, cancelled, \
    idempotency, payload IS NULL, worker";

#[derive(Debug)]
pub(super) struct Standing {
    pub(super) seq: i64,
    pub(super) id: JobId,
    pub(super) tenant: String,
    pub(super) state: i64,
    pub(super) attempts: u32,
    pub(super) max_attempts: u32,
    pub(super) epoch: Epoch,
    pub(super) cancelled: bool,
    pub(super) idempotency: Option<String>,
    /// Its payload stands in a table of its own.
    pub(super) large: bool,
    pub(super) worker: WorkerId,
}

impl Standing {
    pub(super) fn is_under_way(&self, run: Run) -> bool {
        self.state == RUNNING && self.epoch == run.epoch
    }
}

pub(super) fn job_state(state: i64) -> JobState {
    match state {
        READY => JobState::Ready,
        WAITING => JobState::Waiting,
        RUNNING => JobState::Running,
        _ => JobState::Dead,
    }
}

/// Jobs by their ids.
pub(super) async fn by_id(
    connection: &mut SqliteConnection,
    ids: impl IntoIterator<Item = JobId>,
    operation: &'static str,
) -> Result<HashMap<JobId, Standing>> {
    let ids = row::names(ids);
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let text = format!(
        "SELECT {STANDING} FROM (SELECT unhex(value) AS name FROM json_each(?1)) CROSS JOIN jobs ON id = name"
    );
    let found = fetch(connection, sqlx::query(AssertSqlSafe(text)).bind(json(&ids)), operation).await?;
    Ok(found.into_iter().map(|standing| (standing.id, standing)).collect())
}

/// Reads by a statement that selects [`STANDING`].
pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    query: Query<'_, Sqlite, SqliteArguments>,
    operation: &'static str,
) -> Result<Vec<Standing>> {
    let rows = query.fetch_all(connection).await.map_err(map_error(operation))?;
    rows.iter().map(|row| decode(row, operation)).collect()
}

fn decode(row: &SqliteRow, operation: &'static str) -> Result<Standing> {
    let failed = || map_error(operation);
    let counter: i64 = row.try_get(7).map_err(failed())?;
    let worker: Option<&[u8]> = row.try_get(11).map_err(failed())?;
    let worker = worker.map(|worker| row::uuid(worker, operation)).transpose()?;
    Ok(Standing {
        seq: row.try_get(0).map_err(failed())?,
        id: JobId(row::uuid(row.try_get(1).map_err(failed())?, operation)?),
        tenant: row.try_get(2).map_err(failed())?,
        state: row.try_get(3).map_err(failed())?,
        attempts: row.try_get(4).map_err(failed())?,
        max_attempts: row.try_get(5).map_err(failed())?,
        epoch: Epoch { incarnation: row.try_get(6).map_err(failed())?, counter: counter.cast_unsigned() },
        cancelled: row.try_get(8).map_err(failed())?,
        idempotency: row.try_get(9).map_err(failed())?,
        large: row.try_get(10).map_err(failed())?,
        worker: WorkerId(worker.unwrap_or(Uuid::nil())),
    })
}
