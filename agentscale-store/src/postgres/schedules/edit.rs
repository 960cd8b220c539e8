//! What is said about schedules: put, pause, resume, delete.

use agentscale_core::jobs::JobLimits;
use agentscale_core::schedule::{Epoch, PutSchedule, Revision, ScheduleInfo, ScheduleKey};
use agentscale_core::{Error, ErrorKind, Result};

use super::row::{decode, number};
use super::statements::Statements;
use crate::postgres::pool::Transaction;
use crate::postgres::{Bound, Postgres};
use crate::schedule::edit;
use crate::schedule::record::{Definition, Record};

/// How often a schedule is put anew because others made it at the same time.
const ATTEMPTS: u32 = 8;

pub(super) async fn put(
    postgres: &Postgres,
    statements: &Statements,
    request: &PutSchedule,
    limits: &JobLimits,
) -> Result<ScheduleInfo> {
    let operation = "put schedule";
    let key = &request.schedule.key;
    for _ in 0..ATTEMPTS {
        let mut transaction = postgres.transaction(operation).await?;
        let before = lock(&mut transaction, statements, key).await?;
        let (revision, now) = numbers(&mut transaction, statements).await?;
        let info = before.as_ref().map(|record| &record.info);
        let Some(after) = edit::put(info, request, limits, revision, now)? else {
            return before.map(|record| record.info).ok_or_else(|| edit::not_found(operation, key));
        };
        let written = match &before {
            Some(before) => update(&mut transaction, statements, before, after).await.map(Some),
            None => insert(&mut transaction, statements, after).await,
        };
        if let Some(after) = written? {
            transaction.commit().await?;
            return Ok(after);
        }
    }
    Err(Error::new(ErrorKind::Conflict, operation)
        .with_retry(agentscale_core::Retry::Later)
        .with_context("schedule", key))
}

pub(super) async fn set_paused(
    postgres: &Postgres,
    statements: &Statements,
    key: &ScheduleKey,
    is_paused: bool,
) -> Result<ScheduleInfo> {
    let operation = if is_paused { "pause schedule" } else { "resume schedule" };
    let mut transaction = postgres.transaction(operation).await?;
    let before = lock(&mut transaction, statements, key).await?;
    let before = before.ok_or_else(|| edit::not_found(operation, key))?;
    let (revision, now) = numbers(&mut transaction, statements).await?;
    let Some(after) = edit::set_paused(&before.info, is_paused, revision, now)? else {
        return Ok(before.info);
    };
    let after = update(&mut transaction, statements, &before, after).await?;
    transaction.commit().await?;
    Ok(after)
}

pub(super) async fn delete(
    postgres: &Postgres,
    statements: &Statements,
    key: &ScheduleKey,
    expected: Option<Revision>,
) -> Result<bool> {
    let operation = "delete schedule";
    let mut transaction = postgres.transaction(operation).await?;
    let rows = transaction.fetch(&statements.lock, named(key)).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    let revision = Revision(number(row, 3)?);
    if expected.is_some_and(|expected| expected != revision) {
        return Err(edit::conflict(operation, key, Some(revision)));
    }
    let id: i64 = super::row::get(row, 0)?;
    transaction.fetch(&statements.delete, Bound::new().with(id)).await?;
    transaction.commit().await?;
    Ok(true)
}

pub(super) fn named(key: &ScheduleKey) -> Bound {
    Bound::new().with(key.tenant.as_str()).with(key.name.as_str())
}

async fn lock(
    transaction: &mut Transaction,
    statements: &Statements,
    key: &ScheduleKey,
) -> Result<Option<Record>> {
    let rows = transaction.fetch(&statements.lock, named(key)).await?;
    rows.first().map(decode).transpose()
}

/// A number that nobody has had, and the time behind the lock.
async fn numbers(transaction: &mut Transaction, statements: &Statements) -> Result<(Revision, u64)> {
    let rows = transaction.fetch(&statements.numbers, Bound::new()).await?;
    let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Internal, "number schedule"))?;
    Ok((Revision(number(row, 0)?), number(row, 1)?))
}

/// `None` where another one has made it meanwhile.
async fn insert(
    transaction: &mut Transaction,
    statements: &Statements,
    mut after: ScheduleInfo,
) -> Result<Option<ScheduleInfo>> {
    let bound = named(&after.schedule.key).with(after.revision.0.cast_signed());
    let rows = transaction.fetch(&statements.insert, described(bound, &after)?).await?;
    after.epoch = Epoch { incarnation: 0, counter: after.revision.0 };
    Ok(rows.first().map(|_| after))
}

async fn update(
    transaction: &mut Transaction,
    statements: &Statements,
    before: &Record,
    after: ScheduleInfo,
) -> Result<ScheduleInfo> {
    let bound = Bound::new().with(before.id).with(after.revision.0.cast_signed());
    transaction.fetch(&statements.update, described(bound, &after)?).await?;
    Ok(after)
}

fn described(bound: Bound, info: &ScheduleInfo) -> Result<Bound> {
    let schedule = &info.schedule;
    Ok(bound
        .with(Definition::encode(schedule)?)
        .with(&schedule.job.payload[..])
        .with(schedule.timing.topic().map(|topic| topic.as_str()))
        .with(info.is_paused)
        .with(info.next_run_at.map(u64::cast_signed)))
}
