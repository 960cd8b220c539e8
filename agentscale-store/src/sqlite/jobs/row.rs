//! Jobs as rows.

use std::collections::HashMap;
use std::time::Duration;

use agentscale_core::jobs::{Cause, Job, JobId, JobOutcome, JobRetry};
use agentscale_core::{Error, ErrorKind, Priority, Result, Tenant};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};
use uuid::Uuid;

use crate::checkpoint::stored::json;
use crate::sqlite::map_error;

/// Payloads up to this size stand in the row of their job.
pub(super) const INLINE_BYTES: usize = 1_024;

/// What [`decode`] reads, in its order.
pub(super) const COLUMNS: &str = "seq, id, tenant, queue, kind, payload, priority, state, attempts, max_attempts, \
    retry, timeout, trace, cause, enqueued, letter, died";

/// A job with where it has come to.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) job: Job,
    pub(super) state: i64,
    pub(super) attempts: u32,
    pub(super) cause: Option<Cause>,
    pub(super) enqueued: u64,
    pub(super) letter: Option<i64>,
    pub(super) died: u64,
    whole: bool,
}

/// Reads jobs by statements that select or return [`COLUMNS`].
pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    operation: &'static str,
) -> Result<Vec<Stored>> {
    let rows = query.fetch_all(&mut *connection).await.map_err(map_error(operation))?;
    let mut found: Vec<_> = rows.iter().map(|row| decode(row, operation)).collect::<Result<_>>()?;
    fill(connection, &mut found, operation).await?;
    Ok(found)
}

/// Jobs by their ids.
pub(super) async fn by_id(
    connection: &mut SqliteConnection,
    ids: impl IntoIterator<Item = JobId>,
    operation: &'static str,
) -> Result<HashMap<JobId, Stored>> {
    let ids = names(ids);
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let text = format!(
        "SELECT {COLUMNS} FROM (SELECT unhex(value) AS name FROM json_each(?1)) CROSS JOIN jobs ON id = name"
    );
    let query = sqlx::query(AssertSqlSafe(text)).bind(json(&ids));
    let found = fetch(connection, query, operation).await?;
    Ok(found.into_iter().map(|stored| (stored.job.id, stored)).collect())
}

/// Ids as a list for `unhex`.
pub(super) fn names(ids: impl IntoIterator<Item = JobId>) -> Vec<String> {
    ids.into_iter().map(|id| id.0.simple().to_string()).collect()
}

/// Large payloads from their own table.
async fn fill(
    connection: &mut SqliteConnection,
    found: &mut [Stored],
    operation: &'static str,
) -> Result<()> {
    let places: HashMap<i64, usize> = found
        .iter()
        .enumerate()
        .filter(|(_, stored)| !stored.whole)
        .map(|(place, stored)| (stored.seq, place))
        .collect();
    if places.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query("SELECT seq, payload FROM json_each(?1) s CROSS JOIN payloads ON seq = s.value")
        .bind(json(&places.keys().collect::<Vec<_>>()))
        .fetch_all(connection)
        .await
        .map_err(map_error(operation))?;
    for row in rows {
        let seq: i64 = row.try_get(0).map_err(map_error(operation))?;
        if let Some(stored) = places.get(&seq).and_then(|place| found.get_mut(*place)) {
            stored.job.payload = row.try_get::<Vec<u8>, _>(1).map_err(map_error(operation))?.into();
            stored.whole = true;
        }
    }
    match found.iter().find(|stored| !stored.whole) {
        Some(stored) => Err(Error::new(ErrorKind::Corrupt, operation)
            .with_context("job", stored.job.id)
            .with_context("reason", "payload is missing")),
        None => Ok(()),
    }
}

fn decode(row: &SqliteRow, operation: &'static str) -> Result<Stored> {
    let failed = || map_error(operation);
    let corrupt = |error: Error| Error::new(ErrorKind::Corrupt, operation).with_source(error);
    let number = |column: usize| row.try_get::<i64, _>(column).map_err(failed());
    let small = |column: usize| row.try_get::<u32, _>(column).map_err(failed());
    let text = |column: usize| row.try_get::<&str, _>(column).map_err(failed());
    let maybe = |column: usize| row.try_get::<Option<String>, _>(column).map_err(failed());

    let payload: Option<Vec<u8>> = row.try_get(5).map_err(failed())?;
    let whole = payload.is_some();
    let mut job = Job::new(
        JobId(uuid(row.try_get(1).map_err(failed())?, operation)?),
        Tenant::new(text(2)?).map_err(corrupt)?,
        text(3)?.try_into().map_err(corrupt)?,
        text(4)?.try_into().map_err(corrupt)?,
        Bytes::from(payload.unwrap_or_default()),
    );
    let rank = u8::try_from(number(6)?).ok().and_then(Priority::from_rank);
    job.priority =
        rank.ok_or_else(|| Error::new(ErrorKind::Corrupt, operation).with_context("field", "priority"))?;
    job.retry = match maybe(10)? {
        Some(retry) => parse(&retry, operation)?,
        None => JobRetry::default(),
    };
    job.retry.max_attempts = small(9)?;
    let timeout: Option<i64> = row.try_get(11).map_err(failed())?;
    job.timeout = timeout.map(|micros| Duration::from_micros(micros.unsigned_abs()));
    job.trace = maybe(12)?.map(|trace| parse(&trace, operation)).transpose()?;
    let died: Option<i64> = row.try_get(16).map_err(failed())?;
    Ok(Stored {
        seq: number(0)?,
        job,
        state: number(7)?,
        attempts: small(8)?,
        cause: maybe(13)?.map(Cause::new),
        enqueued: number(14)?.cast_unsigned(),
        letter: row.try_get(15).map_err(failed())?,
        died: died.unwrap_or_default().cast_unsigned(),
        whole,
    })
}

/// What became of a job, as a row of `outcomes` has it.
pub(super) fn outcome(code: Option<i64>, result: Vec<u8>) -> Option<JobOutcome> {
    code.map(|code| match code {
        0 => JobOutcome::Completed(result.into()),
        1 => JobOutcome::Dead(Cause::new(String::from_utf8_lossy(&result))),
        _ => JobOutcome::Cancelled,
    })
}

/// The other way.
pub(super) fn outcome_columns(outcome: &JobOutcome) -> (i64, &[u8]) {
    match outcome {
        JobOutcome::Completed(result) => (0, result),
        JobOutcome::Dead(cause) => (1, cause.as_str().as_bytes()),
        _ => (2, &[]),
    }
}

pub(super) fn uuid(bytes: &[u8], operation: &'static str) -> Result<Uuid> {
    Uuid::from_slice(bytes).map_err(|error| Error::new(ErrorKind::Corrupt, operation).with_source(error))
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(ErrorKind::Internal, "encode job").with_source(error))
}

fn parse<T: DeserializeOwned>(text: &str, operation: &'static str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| Error::new(ErrorKind::Corrupt, operation).with_source(error))
}

/// Whole microseconds, a fraction rounded up.
pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX)
}
