//! What is due, and what events are for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use agentscale_core::jobs::{Enqueued, Job, JobId, JobLimits};
use agentscale_core::schedule::{Epoch, ExecutionOutcome, ScheduleEvent, Tick};
use agentscale_core::{Error, ErrorKind, Result, Tenant, Topic};
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};

use super::row::{COLUMNS, decode};
use crate::checkpoint::stored::limit as bounded;
use crate::schedule::plan::{Change, Line, Plan, set_aside};
use crate::schedule::record::Record;
use crate::sqlite::jobs::enqueue;
use crate::sqlite::{Insert, Rows, map_error};

const OPERATION: &str = "fire schedules";

static LINES: Insert = Insert::new(
    "INSERT INTO schedule_executions (tenant, name, incarnation, counter, run_at, fired_at, outcome, job, missed)",
    9,
    "",
);

/// The outer error ends the transaction; the inner one is this operation's own.
pub(super) async fn tick(
    connection: &mut SqliteConnection,
    limit: usize,
    limits: &JobLimits,
    now: u64,
) -> Result<Result<Tick>> {
    let text = format!(
        "SELECT {COLUMNS} FROM schedules WHERE next_run_at IS NOT NULL AND next_run_at <= ?1 \
         ORDER BY next_run_at LIMIT ?2"
    );
    let rows = sqlx::query(AssertSqlSafe(text))
        .bind(now.cast_signed())
        .bind(bounded(limit))
        .fetch_all(&mut *connection)
        .await
        .map_err(map_error(OPERATION))?;
    let first = take_numbers(connection, rows.len()).await?;
    let mut plan = Plan::default();
    for (number, row) in (0..).zip(&rows) {
        match decode(row, OPERATION) {
            Ok(record) => plan.fire(&record, after(first, number), limits, now),
            Err(error) => {
                let id = row.try_get(0).map_err(map_error(OPERATION))?;
                tracing::warn!(row = id, %error, "a schedule cannot be read");
                leave_for_later(connection, id, now).await?;
            }
        }
    }
    let jobs = plan.jobs();
    let enqueued = match enqueue_all(connection, &jobs, now).await? {
        Ok(enqueued) => enqueued,
        Err(error) => return Ok(Err(error)),
    };
    let settled = plan.settle(&enqueued, 0);
    write(connection, &settled.changes, &settled.lines, now).await?;
    let due: Option<i64> =
        sqlx::query_scalar("SELECT min(next_run_at) FROM schedules WHERE next_run_at IS NOT NULL")
            .fetch_one(connection)
            .await
            .map_err(map_error(OPERATION))?;
    let next = due.map(|due| Duration::from_micros(due.cast_unsigned().saturating_sub(now)));
    let fired = settled.changes.into_iter().map(|change| change.fired).collect();
    Ok(Ok(Tick::new(fired, next == Some(Duration::ZERO), next)))
}

/// The outer error ends the transaction; the inner one is this operation's own.
pub(super) async fn trigger(
    connection: &mut SqliteConnection,
    events: &[ScheduleEvent],
    limits: &JobLimits,
    now: u64,
) -> Result<Result<Vec<Vec<JobId>>>> {
    let mut waiting: HashMap<(&Tenant, &Topic), Vec<(Record, Epoch)>> = HashMap::new();
    let mut plan = Plan::default();
    for (number, event) in events.iter().enumerate() {
        let topic = (&event.tenant, &event.topic);
        let found = match waiting.entry(topic) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => {
                let found = waiting_for(connection, event).await?;
                let first = take_numbers(connection, found.len()).await?;
                let found = found.into_iter().zip(0..).map(|(record, number)| (record, after(first, number)));
                place.insert(found.collect())
            }
        };
        for (record, epoch) in found {
            plan.trigger(record, *epoch, number, event, now);
        }
        if plan.is_full() {
            break;
        }
    }
    if let Err(error) = plan.check_triggered(limits) {
        return Ok(Err(error));
    }
    let jobs = plan.jobs();
    let enqueued = match enqueue_all(connection, &jobs, now).await? {
        Ok(enqueued) => enqueued,
        Err(error) => return Ok(Err(error)),
    };
    let settled = plan.settle(&enqueued, events.len());
    write(connection, &settled.changes, &settled.lines, now).await?;
    Ok(Ok(settled.events))
}

/// The first of so many numbers that nobody has had.
pub(super) async fn take_numbers(connection: &mut SqliteConnection, count: usize) -> Result<Epoch> {
    let (incarnation, last): (u32, i64) =
        sqlx::query_as("UPDATE schedule_numbers SET counter = counter + ?1 RETURNING incarnation, counter")
            .bind(bounded(count))
            .fetch_one(connection)
            .await
            .map_err(map_error("number schedules"))?;
    Ok(Epoch { incarnation, counter: (last - bounded(count) + 1).cast_unsigned() })
}

fn after(first: Epoch, number: u64) -> Epoch {
    Epoch { counter: first.counter + number, ..first }
}

async fn waiting_for(connection: &mut SqliteConnection, event: &ScheduleEvent) -> Result<Vec<Record>> {
    let text = format!(
        "SELECT {COLUMNS} FROM schedules WHERE tenant = ?1 AND topic = ?2 AND NOT paused ORDER BY id"
    );
    let rows = sqlx::query(AssertSqlSafe(text))
        .bind(event.tenant.as_str())
        .bind(event.topic.as_str())
        .fetch_all(connection)
        .await
        .map_err(map_error(OPERATION))?;
    let readable = |row| {
        decode(row, OPERATION).inspect_err(|error| tracing::warn!(%error, "a schedule cannot be read")).ok()
    };
    Ok(rows.iter().filter_map(readable).collect())
}

async fn enqueue_all(
    connection: &mut SqliteConnection,
    jobs: &[Job],
    now: u64,
) -> Result<Result<Vec<Enqueued>>> {
    if jobs.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let mut answers = enqueue::add(connection, &[jobs], now).await?;
    Ok(answers.pop().unwrap_or_else(|| Ok(Vec::new())))
}

async fn write(
    connection: &mut SqliteConnection,
    changes: &[Change],
    lines: &[Line],
    now: u64,
) -> Result<()> {
    for change in changes {
        let counts = change.fired.counts;
        let done = sqlx::query(
            "UPDATE schedules SET incarnation = ?2, counter = ?3, next_run_at = ?4, last_fired_at = ?5, \
             fired = fired + ?6, late = late + ?7, missed = missed + ?8, overlapped = overlapped + ?9 \
             WHERE id = ?1 AND incarnation = ?10 AND counter = ?11",
        )
        .bind(change.id)
        .bind(change.fired.epoch.incarnation)
        .bind(change.fired.epoch.counter.cast_signed())
        .bind(change.next_run_at.map(u64::cast_signed))
        .bind(change.last_fired_at.map(u64::cast_signed))
        .bind(counts.fired.cast_signed())
        .bind(counts.late.cast_signed())
        .bind(counts.missed.cast_signed())
        .bind(counts.overlapped.cast_signed())
        .bind(change.was.incarnation)
        .bind(change.was.counter.cast_signed())
        .execute(&mut *connection)
        .await
        .map_err(map_error(OPERATION))?;
        if done.rows_affected() != 1 {
            return Err(
                Error::new(ErrorKind::Internal, OPERATION).with_context("reason", "fired by another one")
            );
        }
    }
    let mut rows = Rows::new(&LINES);
    for line in lines {
        let (outcome, job) = match line.outcome {
            ExecutionOutcome::Enqueued(job) => (0, Some(job)),
            ExecutionOutcome::Overlapped(job) => (1, Some(job)),
            _ => (2, None),
        };
        rows.row()
            .push(line.key.tenant.as_str())
            .push(line.key.name.as_str())
            .push(line.epoch.incarnation)
            .push(line.epoch.counter.cast_signed())
            .push(line.run_at.cast_signed())
            .push(now.cast_signed())
            .push(outcome)
            .push(job.as_ref().map(|job| &job.0.as_bytes()[..]))
            .push(line.missed.cast_signed())
            .end()?;
    }
    rows.insert(connection, OPERATION).await
}

async fn leave_for_later(connection: &mut SqliteConnection, id: i64, now: u64) -> Result<()> {
    sqlx::query("UPDATE schedules SET next_run_at = ?2 WHERE id = ?1")
        .bind(id)
        .bind(set_aside(now).cast_signed())
        .execute(connection)
        .await
        .map_err(map_error(OPERATION))?;
    Ok(())
}
