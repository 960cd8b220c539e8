//! What is said about schedules: put, pause, resume, delete.

use agentscale_core::Result;
use agentscale_core::jobs::JobLimits;
use agentscale_core::schedule::{Epoch, PutSchedule, Revision, ScheduleInfo, ScheduleKey};
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::fire::take_numbers;
use super::row::{COLUMNS, decode};
use crate::schedule::edit;
use crate::schedule::record::{Definition, Record};
use crate::sqlite::map_error;

/// The outer error ends the transaction; the inner one is this operation's own.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    request: &PutSchedule,
    limits: &JobLimits,
    now: u64,
) -> Result<Result<ScheduleInfo>> {
    let operation = "put schedule";
    let before = read(connection, &request.schedule.key, operation).await?;
    let revision = last_number(connection).await? + 1;
    match edit::put(before.as_ref().map(|record| &record.info), request, limits, Revision(revision), now) {
        Ok(Some(after)) => write(connection, before.as_ref(), after, operation).await.map(Ok),
        Ok(None) => Ok(before
            .map(|record| record.info)
            .ok_or_else(|| edit::not_found(operation, &request.schedule.key))),
        Err(error) => Ok(Err(error)),
    }
}

pub(super) async fn set_paused(
    connection: &mut SqliteConnection,
    key: &ScheduleKey,
    is_paused: bool,
    now: u64,
) -> Result<Result<ScheduleInfo>> {
    let operation = if is_paused { "pause schedule" } else { "resume schedule" };
    let Some(before) = read(connection, key, operation).await? else {
        return Ok(Err(edit::not_found(operation, key)));
    };
    let revision = last_number(connection).await? + 1;
    match edit::set_paused(&before.info, is_paused, Revision(revision), now) {
        Ok(Some(after)) => write(connection, Some(&before), after, operation).await.map(Ok),
        Ok(None) => Ok(Ok(before.info)),
        Err(error) => Ok(Err(error)),
    }
}

pub(super) async fn delete(
    connection: &mut SqliteConnection,
    key: &ScheduleKey,
    expected: Option<Revision>,
) -> Result<Result<bool>> {
    let operation = "delete schedule";
    let failed = || map_error(operation);
    let found: Option<(i64, i64)> =
        sqlx::query_as("SELECT id, revision FROM schedules WHERE tenant = ?1 AND name = ?2")
            .bind(key.tenant.as_str())
            .bind(key.name.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed())?;
    let revision = found.map(|(_, revision)| Revision(revision.cast_unsigned()));
    if let (Some(revision), Some(expected)) = (revision, expected)
        && revision != expected
    {
        return Ok(Err(edit::conflict(operation, key, Some(revision))));
    }
    let Some((id, _)) = found else { return Ok(Ok(false)) };
    sqlx::query("DELETE FROM schedules WHERE id = ?1").bind(id).execute(connection).await.map_err(failed())?;
    Ok(Ok(true))
}

/// A schedule, none where there is no row.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    key: &ScheduleKey,
    operation: &'static str,
) -> Result<Option<Record>> {
    let text = format!("SELECT {COLUMNS} FROM schedules WHERE tenant = ?1 AND name = ?2");
    let row = sqlx::query(AssertSqlSafe(text))
        .bind(key.tenant.as_str())
        .bind(key.name.as_str())
        .fetch_optional(connection)
        .await
        .map_err(map_error(operation))?;
    row.map(|row| decode(&row, operation)).transpose()
}

async fn last_number(connection: &mut SqliteConnection) -> Result<u64> {
    let counter: i64 = sqlx::query_scalar("SELECT counter FROM schedule_numbers")
        .fetch_one(connection)
        .await
        .map_err(map_error("number schedule"))?;
    Ok(counter.cast_unsigned())
}

async fn write(
    connection: &mut SqliteConnection,
    before: Option<&Record>,
    mut after: ScheduleInfo,
    operation: &'static str,
) -> Result<ScheduleInfo> {
    let first = take_numbers(connection, 1).await?;
    if before.is_none() {
        after.epoch = Epoch { incarnation: first.incarnation, counter: first.counter };
    }
    let counts = after.counts;
    sqlx::query(
        "INSERT OR REPLACE INTO schedules VALUES \
         (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )
    .bind(before.map(|record| record.id))
    .bind(after.schedule.key.tenant.as_str())
    .bind(after.schedule.key.name.as_str())
    .bind(after.revision.0.cast_signed())
    .bind(after.epoch.incarnation)
    .bind(after.epoch.counter.cast_signed())
    .bind(Definition::encode(&after.schedule)?)
    .bind(&after.schedule.job.payload[..])
    .bind(after.schedule.timing.topic().map(|topic| topic.as_str()))
    .bind(after.is_paused)
    .bind(after.next_run_at.map(u64::cast_signed))
    .bind(after.last_fired_at.map(u64::cast_signed))
    .bind(counts.fired.cast_signed())
    .bind(counts.late.cast_signed())
    .bind(counts.missed.cast_signed())
    .bind(counts.overlapped.cast_signed())
    .execute(connection)
    .await
    .map_err(map_error(operation))?;
    Ok(after)
}
