//! How runs end, and jobs.

use agentscale_core::Result;
use agentscale_core::jobs::{Cause, Finish, JobOutcome, JobState, RunOutcome, fenced};
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::row;
use super::standing::{self, DEAD, READY, Standing, WAITING};
use crate::checkpoint::stored::json;
use crate::sqlite::map_error;

const OPERATION: &str = "finish jobs";

/// What becomes of a job.
#[derive(Debug)]
pub(super) struct End {
    pub(super) standing: Standing,
    pub(super) ending: Ending,
}

#[derive(Debug)]
pub(super) enum Ending {
    Completed(bytes::Bytes),
    Cancelled,
    Dead(Cause),
    Ready { cause: Option<Cause>, attempts: u32 },
    Waiting { cause: Option<Cause>, attempts: u32, due: i64 },
}

impl Ending {
    /// Of a run that is under way.
    fn of(standing: &Standing, outcome: RunOutcome, now: u64) -> Self {
        let (after, cause, attempts) = match outcome {
            RunOutcome::Completed(result) => return Self::Completed(result),
            RunOutcome::Dead(cause) => return Self::Dead(cause),
            RunOutcome::Retry { .. } | RunOutcome::Snooze(_) if standing.cancelled => return Self::Cancelled,
            RunOutcome::Retry { cause, .. } if standing.attempts >= standing.max_attempts => {
                return Self::Dead(cause);
            }
            RunOutcome::Retry { cause, after } => (after, Some(cause), standing.attempts),
            RunOutcome::Snooze(after) => (after, None, standing.attempts.saturating_sub(1)),
            _ => return Self::Cancelled,
        };
        if after.is_zero() {
            return Self::Ready { cause, attempts };
        }
        Self::Waiting { cause, attempts, due: now.cast_signed().saturating_add(row::micros(after)) }
    }

    fn state(&self) -> JobState {
        match self {
            Self::Completed(_) => JobState::Completed,
            Self::Cancelled => JobState::Cancelled,
            Self::Dead(_) => JobState::Dead,
            Self::Ready { .. } => JobState::Ready,
            Self::Waiting { .. } => JobState::Waiting,
        }
    }

    fn outcome(&self) -> Option<JobOutcome> {
        match self {
            Self::Completed(result) => Some(JobOutcome::Completed(result.clone())),
            Self::Cancelled => Some(JobOutcome::Cancelled),
            Self::Dead(cause) => Some(JobOutcome::Dead(cause.clone())),
            Self::Ready { .. } | Self::Waiting { .. } => None,
        }
    }
}

/// Ends runs, each for itself.
pub(super) async fn finish(
    connection: &mut SqliteConnection,
    finishes: Vec<Finish>,
    now: u64,
) -> Result<Vec<Result<JobState>>> {
    let mut running =
        standing::by_id(connection, finishes.iter().map(|finish| finish.run.id), OPERATION).await?;
    let mut answers = Vec::with_capacity(finishes.len());
    let mut ends = Vec::with_capacity(finishes.len());
    for Finish { run, outcome, .. } in finishes {
        let Some(standing) = running.remove(&run.id) else {
            answers.push(Err(fenced("finish job", run)));
            continue;
        };
        if !standing.is_under_way(run) {
            running.insert(run.id, standing);
            answers.push(Err(fenced("finish job", run)));
            continue;
        }
        let ending = Ending::of(&standing, outcome, now);
        answers.push(Ok(ending.state()));
        ends.push(End { standing, ending });
    }
    write(connection, ends, now).await?;
    Ok(answers)
}

/// Writes what becomes of jobs.
pub(super) async fn write(connection: &mut SqliteConnection, ends: Vec<End>, now: u64) -> Result<()> {
    let mut gone = Vec::with_capacity(ends.len());
    for End { standing, ending } in &ends {
        if let (Some(key), Some(outcome)) = (&standing.idempotency, ending.outcome()) {
            record(connection, standing, key, &outcome, now).await?;
        }
        match ending {
            Ending::Completed(_) | Ending::Cancelled => gone.push(standing),
            Ending::Dead(cause) => bury(connection, standing, cause, now).await?,
            Ending::Ready { cause, attempts } => {
                again(connection, standing, READY, None, *attempts, cause.as_ref()).await?;
            }
            Ending::Waiting { cause, attempts, due } => {
                again(connection, standing, WAITING, Some(*due), *attempts, cause.as_ref()).await?;
            }
        }
    }
    remove(connection, &gone).await
}

/// Removes jobs with what belongs to them.
pub(super) async fn remove(connection: &mut SqliteConnection, gone: &[&Standing]) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = gone.iter().map(|standing| standing.seq).collect();
    let large = gone.iter().filter(|standing| standing.large);
    let large: Vec<i64> = large.map(|standing| standing.seq).collect();
    delete(connection, "DELETE FROM jobs WHERE seq IN (SELECT value FROM json_each(?1))", &seqs).await?;
    if large.is_empty() {
        return Ok(());
    }
    delete(connection, "DELETE FROM payloads WHERE seq IN (SELECT value FROM json_each(?1))", &large).await
}

async fn delete(connection: &mut SqliteConnection, statement: &'static str, seqs: &[i64]) -> Result<()> {
    sqlx::query(statement).bind(json(&seqs)).execute(connection).await.map_err(map_error(OPERATION))?;
    Ok(())
}

/// Keeps the outcome of a job under its key, if it is its key still.
pub(super) async fn record(
    connection: &mut SqliteConnection,
    standing: &Standing,
    key: &str,
    outcome: &JobOutcome,
    now: u64,
) -> Result<()> {
    let (code, result) = row::outcome_columns(outcome);
    sqlx::query(
        "UPDATE outcomes SET outcome = ?4, result = ?5, expires = ?6 + retention \
         WHERE tenant = ?1 AND key = ?2 AND id = ?3",
    )
    .bind(&standing.tenant)
    .bind(key)
    .bind(&standing.id.0.as_bytes()[..])
    .bind(code)
    .bind(result)
    .bind(now.cast_signed())
    .execute(connection)
    .await
    .map_err(map_error(OPERATION))?;
    Ok(())
}

async fn bury(connection: &mut SqliteConnection, standing: &Standing, cause: &Cause, now: u64) -> Result<()> {
    let failed = || map_error("bury job");
    let letter: i64 = sqlx::query_scalar("UPDATE numbers SET letter = letter + 1 RETURNING letter")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed())?;
    sqlx::query(AssertSqlSafe(format!(
        "UPDATE jobs SET state = {DEAD}, due = NULL, worker = NULL, unique_key = NULL, cancelled = 0, cause = ?2, \
         letter = ?3, died = ?4 WHERE seq = ?1"
    )))
    .bind(standing.seq)
    .bind(cause.as_str())
    .bind(letter)
    .bind(now.cast_signed())
    .execute(connection)
    .await
    .map_err(failed())?;
    Ok(())
}

/// A cause that is not given stays the one of the attempt before.
async fn again(
    connection: &mut SqliteConnection,
    standing: &Standing,
    state: i64,
    due: Option<i64>,
    attempts: u32,
    cause: Option<&Cause>,
) -> Result<()> {
    sqlx::query(
        "UPDATE jobs SET state = ?2, due = ?3, attempts = ?4, cause = coalesce(?5, cause), worker = NULL WHERE seq = ?1",
    )
    .bind(standing.seq)
    .bind(state)
    .bind(due)
    .bind(attempts)
    .bind(cause.map(Cause::as_str))
    .execute(connection)
    .await
    .map_err(map_error(OPERATION))?;
    Ok(())
}
