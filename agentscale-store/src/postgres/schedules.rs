//! Schedules in the database of a queue.

mod edit;
mod fire;
mod row;
mod statements;

use std::sync::Arc;

use agentscale_core::jobs::{JobId, Maintained};
use agentscale_core::schedule::{
    Execution, HistoryQuery, ListSchedules, MAX_PAGE, PutSchedule, Revision, ScheduleEvent, ScheduleInfo,
    ScheduleKey, SchedulePage, ScheduleStore, Tick,
};
use agentscale_core::{JobQueue as _, Result, Tenant, Topic};
use async_trait::async_trait;

use super::jobs::PostgresJobQueue;
use super::partitions::{MonthlyTable, PartitionUnit, Partitions};
use super::{Bound, Component};
use crate::archive::Retirement;
use crate::schedule::{page_of, too_many};
use row::{decode, execution, get, number};
use statements::Statements;

const COMPONENT: Component = Component {
    name: "schedules",
    migrations: &[include_str!("../../migrations/postgres/0001_schedules.sql")],
};
/// Months of history that are kept besides the present one.
const MONTHS: u32 = 3;

/// Keeps schedules in the schema of a [`PostgresJobQueue`], and enqueues into that queue. Clones share the store.
///
/// A tick finds by one statement that nothing is due. What is due is fired in one transaction: rows that others are firing are
/// passed over (`FOR UPDATE SKIP LOCKED`), so that instances share the work, and a firing has its effect only on the epoch
/// that it has read. The server's clock decides. The history is partitioned by month; three months are kept besides the
/// present one unless said otherwise. Errors besides those of the trait are those of [`map_error`](super::map_error).
#[derive(Clone, Debug)]
pub struct PostgresScheduleStore {
    queue: PostgresJobQueue,
    statements: Arc<Statements>,
    history: Partitions,
}

impl PostgresScheduleStore {
    /// Keeps schedules beside the jobs of a queue, whose connections it shares.
    ///
    /// # Errors
    /// Those of [`Postgres::migrate`](super::Postgres::migrate).
    pub async fn on(queue: PostgresJobQueue) -> Result<Self> {
        Self::on_with_history(queue, MONTHS).await
    }

    /// The same, where another number of months is kept besides the present one.
    ///
    /// # Errors
    /// Those of [`on`](Self::on).
    pub async fn on_with_history(queue: PostgresJobQueue, months: u32) -> Result<Self> {
        let postgres = queue.postgres();
        postgres.migrate(&COMPONENT).await?;
        let table = MonthlyTable::new("schedule_executions", "fired_at", PartitionUnit::Micros, months);
        let history = Partitions::on(postgres.clone(), table).await?;
        Ok(Self { statements: Arc::new(Statements::new(postgres)), history, queue })
    }

    async fn fetch<T>(
        &self,
        statement: &super::Statement,
        bound: Bound,
        decode: impl Fn(&sqlx::postgres::PgRow) -> Result<T>,
    ) -> Result<Vec<T>> {
        let rows = self.queue.postgres().fetch(statement, bound).await?;
        rows.iter().map(decode).collect()
    }
}

#[async_trait]
impl ScheduleStore for PostgresScheduleStore {
    async fn put(&self, request: PutSchedule) -> Result<ScheduleInfo> {
        let limits = self.queue.capabilities().limits;
        edit::put(self.queue.postgres(), &self.statements, &request, &limits).await
    }

    async fn get(&self, key: &ScheduleKey) -> Result<Option<ScheduleInfo>> {
        let found = self.fetch(&self.statements.read, edit::named(key), decode).await?;
        Ok(found.into_iter().next().map(|record| record.info))
    }

    async fn list(&self, request: ListSchedules) -> Result<SchedulePage> {
        let limit = request.limit.clamp(1, MAX_PAGE);
        let bound = Bound::new()
            .with(request.tenant.as_str())
            .with(request.after.as_ref().map_or("", |name| name.as_str()))
            .with(bounded(limit + 1));
        let found = self.fetch(&self.statements.list, bound, |row| Ok(decode(row)?.info)).await?;
        Ok(page_of(found, limit))
    }

    async fn pause(&self, key: &ScheduleKey) -> Result<ScheduleInfo> {
        edit::set_paused(self.queue.postgres(), &self.statements, key, true).await
    }

    async fn resume(&self, key: &ScheduleKey) -> Result<ScheduleInfo> {
        edit::set_paused(self.queue.postgres(), &self.statements, key, false).await
    }

    async fn delete(&self, key: &ScheduleKey, expected: Option<Revision>) -> Result<bool> {
        edit::delete(self.queue.postgres(), &self.statements, key, expected).await
    }

    async fn tick(&self, limit: usize) -> Result<Tick> {
        fire::tick(&self.queue, &self.statements, limit.clamp(1, MAX_PAGE)).await
    }

    async fn trigger(&self, events: Vec<ScheduleEvent>) -> Result<Vec<Vec<JobId>>> {
        too_many(events.len())?;
        fire::trigger(&self.queue, &self.statements, &events).await
    }

    async fn topics(&self, after: Option<(Tenant, Topic)>) -> Result<Vec<(Tenant, Topic)>> {
        let (tenant, topic) =
            after.as_ref().map_or(("", ""), |(tenant, topic)| (tenant.as_str(), topic.as_str()));
        let bound = Bound::new().with(tenant).with(topic).with(bounded(MAX_PAGE));
        let topic = |row: &sqlx::postgres::PgRow| {
            Ok((get::<&str>(row, 0)?.try_into()?, get::<&str>(row, 1)?.try_into()?))
        };
        self.fetch(&self.statements.topics, bound, topic).await
    }

    async fn history(&self, query: HistoryQuery) -> Result<Vec<Execution>> {
        let bound = edit::named(&query.key)
            .with(query.before.map_or(i64::MAX, |cursor| cursor.0))
            .with(bounded(query.limit.clamp(1, MAX_PAGE)));
        self.fetch(&self.statements.history, bound, execution).await
    }

    /// Makes the partitions of this month and the next two, and drops those that are too old, whatever the limit.
    async fn maintain(&self, _: usize) -> Result<Maintained> {
        let now = self.fetch(&self.statements.peek, Bound::new(), |row| number(row, 0)).await?;
        let now = now.first().copied().unwrap_or_default();
        let work = self.history.maintain(now, &Retirement::Drop).await?;
        Ok(Maintained::new(work.retired.len() as u64, false))
    }
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
