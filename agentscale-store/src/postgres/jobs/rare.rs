//! What is asked for now and then.

use std::time::Duration;

use agentscale_core::jobs::{
    Cause, DeadJob, DeadJobCursor, DeadJobPage, DeadJobQuery, Heartbeat, HeartbeatAnswer, JobId, JobInfo,
    JobState, Maintained, QueueCounts, QueueName, RecordedJob, Run, WorkerId,
};
use agentscale_core::{Error, IdempotencyKey, Result, Tenant};
use uuid::Uuid;

use super::claim::lose;
use super::row::{Columns, Place, Stored, corrupt, micros, outcome as decoded, state};
use super::shared::Database;
use crate::jobs::not_found;
use crate::postgres::Bound;

pub(super) async fn heartbeat(database: &Database, heartbeat: &Heartbeat) -> Result<HeartbeatAnswer> {
    let mut answer = HeartbeatAnswer::default();
    let mut left = heartbeat.runs.clone();
    // Whoever else locks some of these rows does so in the same order.
    left.sort_by_key(|run| Place::of(*run).order());
    // A run that is not where it began may have gone home meanwhile.
    for at_home in [false, true] {
        if left.is_empty() {
            return Ok(answer);
        }
        let places = || {
            let home = |place| if at_home { Place { segment: 0, ..place } } else { place };
            left.iter().map(move |run| home(Place::of(*run)))
        };
        let bound = Bound::new()
            .with(places().map(|place| place.segment).collect::<Vec<_>>())
            .with(places().map(|place| place.id).collect::<Vec<_>>())
            .with(places().map(|place| place.seq).collect::<Vec<_>>())
            .with(micros(heartbeat.ttl));
        let rows = database.postgres.fetch(&database.statements.heartbeat, bound).await?;
        for row in &rows {
            let mut columns = Columns::of(row);
            let (id, seq): (Uuid, i64) = (columns.next()?, columns.next()?);
            let is_cancelled: bool = columns.next()?;
            let mut heard: Vec<Run> = Vec::new();
            left.retain(|run| {
                let is_heard = run.id.0 == id && Place::of(*run).seq == seq;
                if is_heard {
                    heard.push(*run);
                }
                !is_heard
            });
            if is_cancelled {
                answer.cancelled.extend(heard);
            }
        }
    }
    answer.lost = left;
    Ok(answer)
}

pub(super) async fn cancel(database: &Database, tenant: &Tenant, id: JobId) -> Result<JobState> {
    // A job that moves is seen neither here nor there by one statement of two.
    for _ in 0..2 {
        let bound = Bound::new().with(tenant.as_str()).with(id.0);
        let rows = database.postgres.fetch(&database.statements.cancel, bound).await?;
        if let Some(row) = rows.first() {
            return state(Columns::of(row).next()?);
        }
    }
    Err(not_found("cancel job", id))
}

pub(super) async fn read(database: &Database, tenant: &Tenant, id: JobId) -> Result<JobInfo> {
    for _ in 0..4 {
        let bound = Bound::new().with(tenant.as_str()).with(id.0);
        let rows = database.postgres.fetch(&database.statements.read, bound).await?;
        let Some(row) = rows.first() else { continue };
        let mut columns = Columns::of(row);
        let Some(found) = Stored::read(&mut columns)? else { continue };
        let cause = columns.next::<Option<&str>>()?.map(Cause::new);
        let state = state(columns.next()?)?;
        let worker: Option<Uuid> = columns.next()?;
        if let (Some(worker), Some(true)) = (worker, columns.next::<Option<bool>>()?) {
            // Its run is lost: whoever finds that ends it.
            lose(database, &[(found.place, WorkerId(worker))]).await?;
            continue;
        }
        return Ok(JobInfo::new(found.job, state, found.attempts, found.enqueued).with_cause(cause));
    }
    Err(not_found("read job", id))
}

pub(super) async fn outcome(
    database: &Database,
    tenant: &Tenant,
    key: &IdempotencyKey,
) -> Result<Option<RecordedJob>> {
    let bound = Bound::new().with(tenant.as_str()).with(key.as_str());
    let rows = database.postgres.fetch(&database.statements.outcome, bound).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mut columns = Columns::of(row);
    Ok(Some(RecordedJob::new(JobId(columns.next()?), decoded(columns.next()?, columns.next()?)?)))
}

pub(super) async fn counts(database: &Database, queues: &[QueueName]) -> Result<Vec<QueueCounts>> {
    let names: Vec<&str> = queues.iter().map(QueueName::as_str).collect();
    let rows = database.postgres.fetch(&database.statements.counts, Bound::new().with(names)).await?;
    let mut counts: Vec<_> = queues.iter().cloned().map(QueueCounts::new).collect();
    for row in &rows {
        let mut columns = Columns::of(row);
        let place = usize::try_from(columns.next::<i64>()? - 1).map_err(|_| corrupt("place"))?;
        let found = counts.get_mut(place).ok_or_else(|| corrupt("place"))?;
        found.waiting = columns.next::<i64>()?.cast_unsigned();
        found.ready = columns.next::<i64>()?.cast_unsigned();
        found.running = columns.next::<i64>()?.cast_unsigned();
        found.dead = columns.next::<i64>()?.cast_unsigned();
        let age = columns.next::<Option<i64>>()?;
        found.oldest_ready = age.map(|age| Duration::from_micros(u64::try_from(age).unwrap_or(0)));
    }
    Ok(counts)
}

pub(super) async fn dead_letters(database: &Database, query: &DeadJobQuery) -> Result<DeadJobPage> {
    let limit = query.limit.clamp(1, database.limits.batch);
    let bound = Bound::new()
        .with(query.after.map_or(0, |after| after.0))
        .with(query.tenant.as_ref().map(Tenant::as_str))
        .with(query.queue.as_ref().map(QueueName::as_str))
        .with(i64::try_from(limit + 1).unwrap_or(i64::MAX));
    let rows = database.postgres.fetch(&database.statements.dead, bound).await?;
    let (mut jobs, mut next) = (Vec::new(), None);
    for row in rows.iter().take(limit) {
        let mut columns = Columns::of(row);
        let found = Stored::read(&mut columns)?.ok_or_else(|| corrupt("segment"))?;
        let cause = Cause::new(columns.next::<Option<&str>>()?.unwrap_or_default());
        let died = columns.next::<i64>()?.cast_unsigned();
        next = Some(DeadJobCursor(found.place.seq));
        jobs.push(DeadJob::new(found.job, cause, found.attempts, died));
    }
    Ok(DeadJobPage::new(jobs, next.filter(|_| rows.len() > limit)))
}

pub(super) async fn redrive(database: &Database, tenant: &Tenant, ids: &[JobId]) -> Result<Vec<JobId>> {
    database.limits.check_batch("redrive jobs", ids.len())?;
    let rows = database.postgres.fetch(&database.statements.redrive, named(tenant, ids)).await?;
    let mut redriven = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut columns = Columns::of(row);
        redriven.push(JobId(columns.next()?));
        let queue = columns.next::<&str>()?.try_into();
        database.wake.tell(queue.map_err(|error: Error| corrupt("queue").with_source(error))?);
    }
    Ok(redriven)
}

pub(super) async fn discard(database: &Database, tenant: &Tenant, ids: &[JobId]) -> Result<Vec<JobId>> {
    database.limits.check_batch("discard jobs", ids.len())?;
    let rows = database.postgres.fetch(&database.statements.discard, named(tenant, ids)).await?;
    rows.iter().map(|row| Ok(JobId(Columns::of(row).next()?))).collect()
}

pub(super) async fn maintain(database: &Database, limit: usize) -> Result<Maintained> {
    let limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
    let rows = database.postgres.fetch(&database.statements.expire, Bound::new().with(limit)).await?;
    let removed = rows.len() as u64;
    Ok(Maintained::new(removed, removed == limit.cast_unsigned()))
}

fn named(tenant: &Tenant, ids: &[JobId]) -> Bound {
    Bound::new().with(tenant.as_str()).with(ids.iter().map(|id| id.0).collect::<Vec<_>>())
}
