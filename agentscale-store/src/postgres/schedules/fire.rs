//! What is due, and what events are for.

use std::collections::BTreeSet;
use std::time::Duration;

use agentscale_core::jobs::{Enqueued, Job, JobId, QueueName};
use agentscale_core::schedule::{Epoch, ExecutionOutcome, ScheduleEvent, Tick};
use agentscale_core::{Error, ErrorKind, JobQueue as _, Result};
use sqlx::postgres::PgRow;

use super::row::{COLUMNS, decode, get, number};
use super::statements::Statements;
use crate::postgres::Bound;
use crate::postgres::jobs::PostgresJobQueue;
use crate::postgres::pool::Transaction;
use crate::schedule::plan::{Change, Line, Plan, set_aside};

const OPERATION: &str = "fire schedules";

pub(super) async fn tick(queue: &PostgresJobQueue, statements: &Statements, limit: usize) -> Result<Tick> {
    // What is usual: nothing is due, and one statement finds that.
    let rows = queue.postgres().fetch(&statements.peek, Bound::new()).await?;
    let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Internal, OPERATION))?;
    let (now, due) = (number(row, 0)?, get::<Option<i64>>(row, 1)?.map(i64::cast_unsigned));
    if due.is_none_or(|due| due > now) {
        return Ok(Tick::new(Vec::new(), false, due.map(|due| Duration::from_micros(due - now))));
    }
    let mut transaction = queue.postgres().transaction(OPERATION).await?;
    let bound = Bound::new().with(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = transaction.fetch(&statements.due, bound).await?;
    let (mut plan, mut unreadable, mut now) = (Plan::default(), Vec::new(), now);
    let limits = queue.capabilities().limits;
    for row in &rows {
        now = number(row, COLUMNS + 1)?;
        match decode(row) {
            Ok(record) => plan.fire(&record, epoch(row)?, &limits, now),
            Err(error) => {
                let id: i64 = get(row, 0)?;
                tracing::warn!(row = id, %error, "a schedule cannot be read");
                unreadable.push(id);
            }
        }
    }
    let jobs = plan.jobs();
    let queues = queues(&jobs);
    let enqueued = enqueue(queue, &mut transaction, jobs).await?;
    let settled = plan.settle(&enqueued, 0);
    write(&mut transaction, statements, &settled.changes, &settled.lines, now).await?;
    if !unreadable.is_empty() {
        let bound = Bound::new().with(unreadable).with(set_aside(now).cast_signed());
        transaction.fetch(&statements.leave, bound).await?;
    }
    transaction.commit().await?;
    queues.iter().for_each(|queue_name| queue.announce(queue_name));
    let next = settled.changes.iter().filter_map(|change| change.next_run_at).min();
    let next = next.map(|next| Duration::from_micros(next.saturating_sub(now)));
    let fired: Vec<_> = settled.changes.into_iter().map(|change| change.fired).collect();
    // What others fire at this moment, or what is due behind these, is found by the next tick.
    Ok(Tick::new(fired, rows.len() == limit, next))
}

pub(super) async fn trigger(
    queue: &PostgresJobQueue,
    statements: &Statements,
    events: &[ScheduleEvent],
) -> Result<Vec<Vec<JobId>>> {
    let topics: BTreeSet<_> =
        events.iter().map(|event| (event.tenant.as_str(), event.topic.as_str())).collect();
    let bound = Bound::new()
        .with(topics.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>())
        .with(topics.iter().map(|(_, topic)| *topic).collect::<Vec<_>>());
    let mut transaction = queue.postgres().transaction("trigger schedules").await?;
    let rows = transaction.fetch(&statements.waiting, bound).await?;
    let (mut plan, mut now) = (Plan::default(), 0);
    for row in &rows {
        now = number(row, COLUMNS + 1)?;
        let epoch = epoch(row)?;
        let record = match decode(row) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(%error, "a schedule cannot be read");
                continue;
            }
        };
        let schedule = &record.info.schedule;
        let is_for = |event: &ScheduleEvent| {
            event.tenant == schedule.key.tenant && Some(&event.topic) == schedule.timing.topic()
        };
        for (number, event) in events.iter().enumerate().filter(|(_, event)| is_for(event)) {
            if !plan.is_full() {
                plan.trigger(&record, epoch, number, event, now);
            }
        }
    }
    plan.check_triggered(&queue.capabilities().limits)?;
    let jobs = plan.jobs();
    let queues = queues(&jobs);
    let enqueued = enqueue(queue, &mut transaction, jobs).await?;
    let settled = plan.settle(&enqueued, events.len());
    write(&mut transaction, statements, &settled.changes, &settled.lines, now).await?;
    transaction.commit().await?;
    queues.iter().for_each(|queue_name| queue.announce(queue_name));
    Ok(settled.events)
}

fn epoch(row: &PgRow) -> Result<Epoch> {
    Ok(Epoch { incarnation: 0, counter: number(row, COLUMNS)? })
}

fn queues(jobs: &[Job]) -> BTreeSet<QueueName> {
    jobs.iter().map(|job| job.queue.clone()).collect()
}

/// In the order of `jobs`, as many at once as the queue takes.
async fn enqueue(
    queue: &PostgresJobQueue,
    transaction: &mut Transaction,
    mut jobs: Vec<Job>,
) -> Result<Vec<Enqueued>> {
    let batch = queue.capabilities().limits.batch.max(1);
    let mut enqueued = Vec::with_capacity(jobs.len());
    while !jobs.is_empty() {
        let rest = jobs.split_off(jobs.len().min(batch));
        enqueued.extend(queue.enqueue_in(transaction.connection(), jobs).await?);
        jobs = rest;
    }
    Ok(enqueued)
}

async fn write(
    transaction: &mut Transaction,
    statements: &Statements,
    changes: &[Change],
    lines: &[Line],
    now: u64,
) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let of = |value: fn(&Change) -> u64| changes.iter().map(|c| value(c).cast_signed()).collect::<Vec<_>>();
    let bound = Bound::new()
        .with(changes.iter().map(|change| change.id).collect::<Vec<_>>())
        .with(of(|change| change.was.counter))
        .with(of(|change| change.fired.epoch.counter))
        .with(changes.iter().map(|change| change.next_run_at.map(u64::cast_signed)).collect::<Vec<_>>())
        .with(changes.iter().map(|change| change.last_fired_at.map(u64::cast_signed)).collect::<Vec<_>>())
        .with(of(|change| change.fired.counts.fired))
        .with(of(|change| change.fired.counts.late))
        .with(of(|change| change.fired.counts.missed))
        .with(of(|change| change.fired.counts.overlapped))
        .with(now.cast_signed());
    let rows = transaction.fetch(&statements.fire, described(bound, lines)).await?;
    let changed = rows.first().map(|row| number(row, 0)).transpose()?;
    if changed == Some(changes.len() as u64) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Conflict, OPERATION)
        .with_retry(agentscale_core::Retry::Later)
        .with_context("reason", "fired by another one"))
}

fn described(bound: Bound, lines: &[Line]) -> Bound {
    let job = |line: &Line| match line.outcome {
        ExecutionOutcome::Enqueued(job) | ExecutionOutcome::Overlapped(job) => Some(job.0),
        _ => None,
    };
    let outcome = |line: &Line| match line.outcome {
        ExecutionOutcome::Enqueued(_) => 0_i16,
        ExecutionOutcome::Overlapped(_) => 1,
        _ => 2,
    };
    bound
        .with(lines.iter().map(|line| line.key.tenant.as_str()).collect::<Vec<_>>())
        .with(lines.iter().map(|line| line.key.name.as_str()).collect::<Vec<_>>())
        .with(lines.iter().map(|line| line.epoch.counter.cast_signed()).collect::<Vec<_>>())
        .with(lines.iter().map(|line| line.run_at.cast_signed()).collect::<Vec<_>>())
        .with(lines.iter().map(outcome).collect::<Vec<_>>())
        .with(lines.iter().map(job).collect::<Vec<_>>())
        .with(lines.iter().map(|line| line.missed.cast_signed()).collect::<Vec<_>>())
}
