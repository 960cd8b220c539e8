//! Jobs in a database of PostgreSQL.

mod claim;
mod config;
mod enqueue;
mod finish;
mod lane;
mod marks;
mod rare;
mod row;
mod shared;
mod statements;
mod tend;
mod wait;
mod wake;

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::Durability;
use agentscale_core::jobs::{
    ClaimJobs, ClaimedJob, DeadJobPage, DeadJobQuery, Enqueued, Finish, Heartbeat, HeartbeatAnswer, Job,
    JobId, JobInfo, JobState, Maintained, QueueCapabilities, QueueCounts, QueueName, RecordedJob, check_ttl,
};
use agentscale_core::{Error, ErrorKind, IdempotencyKey, JobQueue, Result, Tenant};
use async_trait::async_trait;
use sqlx::PgConnection;

use super::{Component, Postgres};
pub use config::PostgresJobConfig;
use enqueue::Enqueues;
use finish::Finishes;
use shared::Shared;

const COMPONENT: Component =
    Component { name: "jobs", migrations: &[include_str!("../../migrations/postgres/0001_jobs.sql")] };

/// Keeps jobs in one schema of a PostgreSQL database, which many instances may share.
///
/// What is ready or running stands in a ring of segments. Jobs are added to the current one; one that was left and is empty
/// is truncated. So finished jobs do not slow the others down though somebody holds a snapshot open for long, as backups
/// and reports do: what vacuum may not remove is bounded by the ring. Only a transaction that has read or written these
/// tables themselves, and stays open, keeps a segment from being truncated.
///
/// A claim is one statement, which passes over what others are about to take. Enqueues and finishes of many callers share a
/// statement: what arrives while one is under way goes into the next. Each is answered after its transaction, which the server
/// syncs. One whose connection was lost is sent once more.
///
/// Waiting workers of other processes are told by `NOTIFY`, a few times a second at most; behind a pooler that keeps no
/// session they look, at first every [`busy_poll`](PostgresJobConfig::busy_poll).
///
/// Errors besides those of the trait are those of [`map_error`](super::map_error). Clones share the queue.
#[derive(Clone, Debug)]
pub struct PostgresJobQueue {
    shared: Arc<Shared>,
}

impl PostgresJobQueue {
    /// Opens a database with the default configuration.
    ///
    /// # Errors
    /// Those of [`Postgres::open`] and [`Postgres::migrate`].
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(url, PostgresJobConfig::default()).await
    }

    /// Opens a database.
    ///
    /// # Errors
    /// Those of [`Postgres::open`] and [`Postgres::migrate`].
    pub async fn open_with(url: &str, config: PostgresJobConfig) -> Result<Self> {
        let postgres = Postgres::open(url, &config.database, config.writers * 2).await?;
        Self::on_with(postgres, config).await
    }

    /// Keeps jobs in a database that is open already, whose connections it shares, with the default configuration.
    ///
    /// # Errors
    /// Those of [`Postgres::migrate`].
    pub async fn on(postgres: Postgres) -> Result<Self> {
        Self::on_with(postgres, PostgresJobConfig::default()).await
    }

    /// Keeps jobs in a database that is open already; the configuration's own database is not looked at.
    ///
    /// # Errors
    /// Those of [`Postgres::migrate`].
    pub async fn on_with(postgres: Postgres, config: PostgresJobConfig) -> Result<Self> {
        postgres.migrate(&COMPONENT).await?;
        Ok(Self { shared: Shared::start(postgres, config) })
    }

    /// Adds jobs within a transaction of the caller's on the same database: they are there when it commits.
    ///
    /// Nobody waits for what may be rolled back: workers look by themselves, or are told by [`announce`](Self::announce).
    ///
    /// # Errors
    /// Those of [`JobQueue::enqueue`], behind which the transaction is as it was; another one ends it. `conflict`, to be
    /// tried later in a new transaction, where somebody else adds the same keys at this moment.
    pub async fn enqueue_in(&self, connection: &mut PgConnection, jobs: Vec<Job>) -> Result<Vec<Enqueued>> {
        let database = &self.shared.database;
        database.limits.check(&jobs)?;
        database.wake.stir();
        enqueue::within(connection, &database.statements, jobs).await
    }

    /// Tells those who wait that jobs of a queue were added by [`enqueue_in`](Self::enqueue_in) and committed.
    pub fn announce(&self, queue: &QueueName) {
        self.shared.database.wake.tell(queue.clone());
    }

    /// The database.
    pub fn postgres(&self) -> &Postgres {
        &self.shared.database.postgres
    }

    /// Writes what is queued and closes the connections, those of others who share them too; what comes later is
    /// `unavailable`.
    ///
    /// # Errors
    /// `internal` for a writer that has ended by a defect.
    pub async fn close(&self) -> Result<()> {
        self.shared.close().await
    }
}

#[async_trait]
impl JobQueue for PostgresJobQueue {
    fn capabilities(&self) -> QueueCapabilities {
        let database = &self.shared.database;
        let level = if database.postgres.syncs() { Durability::Disk } else { Durability::Process };
        QueueCapabilities::new(level, true).with_limits(database.limits)
    }

    async fn enqueue(&self, jobs: Vec<Job>) -> Result<Vec<Enqueued>> {
        let database = &self.shared.database;
        database.limits.check(&jobs)?;
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        database.wake.stir();
        let mut queues: Vec<QueueName> = jobs.iter().map(|job| job.queue.clone()).collect();
        queues.sort_unstable();
        queues.dedup();
        let written = match Enqueues::new(jobs)? {
            Ok(plain) => self.shared.enqueue(plain).await?,
            Err(each) => Err(each),
        };
        let answers = match written {
            Ok(answers) => answers,
            Err(each) => each.add(&database.postgres, &database.statements).await?,
        };
        if answers.iter().any(Enqueued::is_added) {
            queues.into_iter().for_each(|queue| database.wake.tell(queue));
        }
        Ok(answers)
    }

    async fn claim(&self, request: ClaimJobs) -> Result<Vec<ClaimedJob>> {
        check_ttl(request.ttl)?;
        if request.limit == 0 {
            return Err(invalid("claim jobs", "limit"));
        }
        self.shared.database.wake.stir();
        claim::claim(&self.shared.database, &request).await
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer> {
        check_ttl(heartbeat.ttl)?;
        self.shared.database.limits.check_batch("renew claims", heartbeat.runs.len())?;
        rare::heartbeat(&self.shared.database, &heartbeat).await
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<JobState>>> {
        let limits = self.shared.database.limits;
        limits.check_batch("finish jobs", finishes.len())?;
        self.shared.database.wake.stir();
        let check = |finish: &Finish| limits.check_finish(finish).and_then(|()| finish::check(finish));
        let checked: Vec<Result<()>> = finishes.iter().map(check).collect();
        let good = finishes.into_iter().zip(&checked).filter(|(_, checked)| checked.is_ok());
        let good: Vec<Finish> = good.map(|(finish, _)| finish).collect();
        let ended = if good.is_empty() { Vec::new() } else { self.shared.finish(Finishes(good)).await? };
        let mut ended = ended.into_iter();
        let unanswered = || Err(Error::new(ErrorKind::Internal, "finish jobs"));
        let answer = |checked: Result<()>| match checked {
            Ok(()) => ended.next().unwrap_or_else(unanswered),
            Err(error) => Err(error),
        };
        Ok(checked.into_iter().map(answer).collect())
    }

    async fn changed(&self, queues: &[QueueName], wait: Duration) -> Result<Vec<QueueName>> {
        if queues.is_empty() {
            return Err(invalid("await jobs", "queues"));
        }
        self.shared.listen();
        wait::changed(&self.shared, queues, wait).await
    }

    async fn cancel(&self, tenant: &Tenant, id: JobId) -> Result<JobState> {
        rare::cancel(&self.shared.database, tenant, id).await
    }

    async fn read(&self, tenant: &Tenant, id: JobId) -> Result<JobInfo> {
        rare::read(&self.shared.database, tenant, id).await
    }

    async fn outcome(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<Option<RecordedJob>> {
        rare::outcome(&self.shared.database, tenant, key).await
    }

    async fn counts(&self, queues: &[QueueName]) -> Result<Vec<QueueCounts>> {
        rare::counts(&self.shared.database, queues).await
    }

    async fn dead_letters(&self, query: DeadJobQuery) -> Result<DeadJobPage> {
        rare::dead_letters(&self.shared.database, &query).await
    }

    async fn redrive(&self, tenant: &Tenant, ids: Vec<JobId>) -> Result<Vec<JobId>> {
        rare::redrive(&self.shared.database, tenant, &ids).await
    }

    async fn discard(&self, tenant: &Tenant, ids: Vec<JobId>) -> Result<Vec<JobId>> {
        rare::discard(&self.shared.database, tenant, &ids).await
    }

    async fn maintain(&self, limit: usize) -> Result<Maintained> {
        rare::maintain(&self.shared.database, limit).await
    }
}

fn invalid(operation: &'static str, field: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, operation).with_context("field", field)
}
