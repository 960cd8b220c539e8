//! Schedules in the file of a queue.

mod edit;
mod fire;
mod op;
mod row;

use std::time::Duration;

use agentscale_core::jobs::{JobId, JobLimits, Maintained};
use agentscale_core::schedule::{
    Execution, HistoryQuery, ListSchedules, MAX_PAGE, PutSchedule, Revision, ScheduleEvent, ScheduleInfo,
    ScheduleKey, SchedulePage, ScheduleStore, Tick,
};
use agentscale_core::{Error, ErrorKind, Result, Tenant, Topic};
use async_trait::async_trait;
use sqlx::{AssertSqlSafe, Row as _, SqliteConnection};
use tokio::sync::oneshot;

use super::jobs::SqliteJobQueue;
use super::map_error;
use crate::checkpoint::stored::limit as bounded;
use crate::schedule::{HISTORY, page_of, too_many};
pub(crate) use op::{ScheduleOp, ScheduleReply};

/// Keeps schedules in the file of a [`SqliteJobQueue`], and enqueues into that queue. Clones share the store.
///
/// The task that writes for the queue writes for the schedules: a firing and its jobs are one transaction, which is synced as
/// the queue's are. Time is that of the clock of the queue. The history of 90 days is kept unless said otherwise.
#[derive(Clone, Debug)]
pub struct SqliteScheduleStore {
    queue: SqliteJobQueue,
    history: Duration,
}

impl SqliteScheduleStore {
    /// Keeps schedules beside the jobs of a queue.
    pub fn on(queue: SqliteJobQueue) -> Self {
        Self { queue, history: HISTORY }
    }

    /// Keeps the history of so much time.
    #[must_use]
    pub fn with_history(mut self, history: Duration) -> Self {
        self.history = history;
        self
    }

    async fn ask<T>(
        &self,
        bytes: usize,
        op: impl FnOnce(oneshot::Sender<Result<T>>) -> ScheduleOp,
    ) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        self.queue.schedule(bytes, op(sender)).await?;
        answer.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "write").with_context("reason", "writer stopped")
        })?
    }
}

#[async_trait]
impl ScheduleStore for SqliteScheduleStore {
    async fn put(&self, request: PutSchedule) -> Result<ScheduleInfo> {
        let bytes = request.schedule.job.payload.len();
        self.ask(bytes, |answer| ScheduleOp::Put(Box::new(request), answer)).await
    }

    async fn get(&self, key: &ScheduleKey) -> Result<Option<ScheduleInfo>> {
        let operation = "read schedule";
        let mut reader = self.queue.reader(operation).await?;
        Ok(edit::read(&mut reader, key, operation).await?.map(|record| record.info))
    }

    async fn list(&self, request: ListSchedules) -> Result<SchedulePage> {
        let operation = "list schedules";
        let limit = request.limit.clamp(1, MAX_PAGE);
        let text = format!(
            "SELECT {} FROM schedules WHERE tenant = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
            row::COLUMNS
        );
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(request.tenant.as_str())
            .bind(request.after.as_ref().map_or("", |name| name.as_str()))
            .bind(bounded(limit + 1))
            .fetch_all(&mut *self.queue.reader(operation).await?)
            .await
            .map_err(map_error(operation))?;
        let found = rows.iter().map(|row| row::decode(row, operation).map(|record| record.info));
        Ok(page_of(found.collect::<Result<_>>()?, limit))
    }

    async fn pause(&self, key: &ScheduleKey) -> Result<ScheduleInfo> {
        self.ask(0, |answer| ScheduleOp::Pause(key.clone(), answer)).await
    }

    async fn resume(&self, key: &ScheduleKey) -> Result<ScheduleInfo> {
        self.ask(0, |answer| ScheduleOp::Resume(key.clone(), answer)).await
    }

    async fn delete(&self, key: &ScheduleKey, expected: Option<Revision>) -> Result<bool> {
        self.ask(0, |answer| ScheduleOp::Delete(key.clone(), expected, answer)).await
    }

    async fn tick(&self, limit: usize) -> Result<Tick> {
        self.ask(0, |answer| ScheduleOp::Tick(limit.clamp(1, MAX_PAGE), answer)).await
    }

    async fn trigger(&self, events: Vec<ScheduleEvent>) -> Result<Vec<Vec<JobId>>> {
        too_many(events.len())?;
        let bytes = events.iter().map(|event| event.payload.len()).sum();
        self.ask(bytes, |answer| ScheduleOp::Trigger(events, answer)).await
    }

    async fn topics(&self, after: Option<(Tenant, Topic)>) -> Result<Vec<(Tenant, Topic)>> {
        let operation = "list topics of schedules";
        let failed = || map_error(operation);
        let (tenant, topic) =
            after.as_ref().map_or(("", ""), |(tenant, topic)| (tenant.as_str(), topic.as_str()));
        let rows = sqlx::query(
            "SELECT DISTINCT tenant, topic FROM schedules \
             WHERE topic IS NOT NULL AND NOT paused AND (tenant, topic) > (?1, ?2) ORDER BY tenant, topic LIMIT ?3",
        )
        .bind(tenant)
        .bind(topic)
        .bind(bounded(MAX_PAGE))
        .fetch_all(&mut *self.queue.reader(operation).await?)
        .await
        .map_err(failed())?;
        let name = |row: &sqlx::sqlite::SqliteRow, column| row.try_get::<String, _>(column).map_err(failed());
        rows.iter().map(|row| Ok((name(row, 0)?.try_into()?, name(row, 1)?.try_into()?))).collect()
    }

    async fn history(&self, query: HistoryQuery) -> Result<Vec<Execution>> {
        let operation = "read history of schedule";
        let text = format!(
            "SELECT {} FROM schedule_executions WHERE tenant = ?1 AND name = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4",
            row::LINE
        );
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(query.key.tenant.as_str())
            .bind(query.key.name.as_str())
            .bind(query.before.map_or(i64::MAX, |cursor| cursor.0))
            .bind(bounded(query.limit.clamp(1, MAX_PAGE)))
            .fetch_all(&mut *self.queue.reader(operation).await?)
            .await
            .map_err(map_error(operation))?;
        rows.iter().map(row::execution).collect()
    }

    async fn maintain(&self, limit: usize) -> Result<Maintained> {
        let history = u64::try_from(self.history.as_micros()).unwrap_or(u64::MAX);
        let before = self.queue.clock().unix_micros().saturating_sub(history);
        self.ask(0, |answer| ScheduleOp::Maintain { before, limit: limit.max(1), answer }).await
    }
}

/// Does what is asked within the transaction of the queue's writer. The outer error ends the transaction; the inner one is
/// this operation's own.
pub(crate) async fn apply(
    connection: &mut SqliteConnection,
    op: &ScheduleOp,
    limits: &JobLimits,
    now: u64,
) -> Result<Result<ScheduleReply>> {
    let applied = match op {
        ScheduleOp::Put(request, _) => {
            edit::put(connection, request, limits, now).await.map(|put| put.map(ScheduleReply::info))
        }
        ScheduleOp::Pause(key, _) => {
            edit::set_paused(connection, key, true, now).await.map(|set| set.map(ScheduleReply::info))
        }
        ScheduleOp::Resume(key, _) => {
            edit::set_paused(connection, key, false, now).await.map(|set| set.map(ScheduleReply::info))
        }
        ScheduleOp::Delete(key, expected, _) => {
            edit::delete(connection, key, *expected).await.map(|deleted| deleted.map(ScheduleReply::Deleted))
        }
        ScheduleOp::Tick(limit, _) => {
            fire::tick(connection, *limit, limits, now).await.map(|tick| tick.map(ScheduleReply::Tick))
        }
        ScheduleOp::Trigger(events, _) => {
            let triggered = fire::trigger(connection, events, limits, now).await;
            triggered.map(|triggered| triggered.map(ScheduleReply::Triggered))
        }
        ScheduleOp::Maintain { before, limit, .. } => {
            forget(connection, *before, *limit).await.map(|done| Ok(ScheduleReply::Maintained(done)))
        }
    };
    match applied {
        // Read before anything was written: the others of the transaction go on.
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(Err(error)),
        other => other,
    }
}

async fn forget(connection: &mut SqliteConnection, before: u64, limit: usize) -> Result<Maintained> {
    let done = sqlx::query(
        "DELETE FROM schedule_executions WHERE seq IN \
         (SELECT seq FROM schedule_executions WHERE fired_at < ?1 ORDER BY fired_at LIMIT ?2)",
    )
    .bind(before.cast_signed())
    .bind(bounded(limit))
    .execute(connection)
    .await
    .map_err(map_error("tidy history of schedules"))?;
    Ok(Maintained::new(done.rows_affected(), done.rows_affected() == limit as u64))
}
