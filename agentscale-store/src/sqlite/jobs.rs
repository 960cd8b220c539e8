//! Jobs in a file of SQLite.

mod claim;
mod config;
mod end;
pub(crate) mod enqueue;
mod op;
mod rare;
mod read;
mod row;
mod standing;
mod wake;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::Durability;
use agentscale_core::jobs::{
    ClaimJobs, ClaimedJob, DeadJobPage, DeadJobQuery, Enqueued, Finish, Heartbeat, HeartbeatAnswer, Job,
    JobId, JobInfo, JobState, Maintained, QueueCapabilities, QueueCounts, QueueName, RecordedJob, RunOutcome,
    check_ttl,
};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, Error, ErrorKind, IdempotencyKey, JobQueue, Result, Tenant};
use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::{Executor, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{Notify, oneshot};

use super::{GroupWriter, Schema, map_error};
pub use config::SqliteJobConfig;
use op::{Answer, Op};
use writer::JobWriter;

const SCHEMA: Schema = Schema {
    // "ASJQ"
    application_id: 0x4153_4a51,
    migrations: &[
        include_str!("../../migrations/0001_jobs.sql"),
        include_str!("../../migrations/0002_schedules.sql"),
    ],
};

/// Keeps jobs in one file of SQLite, for the processes of one machine. Clones share the queue.
///
/// One task writes for all callers, a transaction for what came together, by default synced to the disk before it is
/// answered; a heartbeat is not synced, as its loss only ends a claim early. Time is that of the machine, or of the clock
/// that the queue is given: all processes on a file need the same. Where that clock is set back, claims last no longer than
/// from then on; waits last as much longer.
#[derive(Clone, Debug)]
pub struct SqliteJobQueue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    writer: GroupWriter<Op>,
    readers: SqlitePool,
    ready: Arc<Notify>,
    clock: Arc<dyn Clock>,
    config: SqliteJobConfig,
}

impl SqliteJobQueue {
    /// Opens a file with the default configuration; makes it where it does not exist.
    ///
    /// # Errors
    /// Those of [`SqliteConfig::open`](super::SqliteConfig::open).
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteJobConfig::default(), Arc::new(SystemClock::new())).await
    }

    /// Opens a file. The clock is the one by whose wall time jobs are due and claims end.
    ///
    /// # Errors
    /// Those of [`SqliteConfig::open`](super::SqliteConfig::open).
    pub async fn open_with(
        path: impl AsRef<Path>,
        config: SqliteJobConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let file = config.file.open(path.as_ref(), &SCHEMA).await?;
        let ready = Arc::new(Notify::new());
        let writer =
            JobWriter::start(file.writer, clock.clone(), config.limits, config.level, ready.clone()).await?;
        let writer = GroupWriter::spawn(writer, &config.operations);
        let shared = Shared { path: file.path, writer, readers: file.readers, ready, clock, config };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Where the file is. A host's own tables may stand in it; it makes them by a connection of its own.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Adds jobs within the transaction that the caller has under way on a connection of its own to
    /// [`path`](Self::path): they are there when it commits, and are found at the next poll.
    ///
    /// The connection waits for locks (`busy_timeout`), and its transaction begins `IMMEDIATE`. It is short: the queue's
    /// writers wait for its end.
    ///
    /// # Errors
    /// Those of [`JobQueue::enqueue`]; nothing is added then, and the transaction goes on. As
    /// [`map_error`] says.
    pub async fn enqueue_in(&self, connection: &mut SqliteConnection, jobs: &[Job]) -> Result<Vec<Enqueued>> {
        self.shared.config.limits.check(jobs)?;
        let failed = || map_error("enqueue jobs");
        connection.execute("SAVEPOINT agentscale_jobs").await.map_err(failed())?;
        let added = enqueue::add(connection, &[jobs], self.shared.clock.unix_micros()).await;
        let end = match &added {
            Ok(_) => "RELEASE agentscale_jobs",
            Err(_) => "ROLLBACK TO agentscale_jobs; RELEASE agentscale_jobs",
        };
        sqlx::raw_sql(end).execute(connection).await.map_err(failed())?;
        added?.pop().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Answers what was asked and closes the file; what comes later is `unavailable`.
    ///
    /// # Errors
    /// `unavailable` where the file cannot be closed cleanly; what was acknowledged is in its log then.
    pub async fn close(&self) -> Result<()> {
        let closed = self.shared.writer.close().await;
        self.shared.readers.close().await;
        closed
    }

    async fn ask<T>(&self, bytes: usize, op: impl FnOnce(Answer<T>) -> Op) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        self.shared.writer.submit(op(Answer(sender)), bytes).await?;
        answer.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "write").with_context("reason", "writer stopped")
        })?
    }

    /// Hands the writer what is to be done to the schedules beside the jobs.
    #[cfg(feature = "schedules")]
    pub(super) async fn schedule(&self, bytes: usize, op: super::schedules::ScheduleOp) -> Result<()> {
        self.shared.writer.submit(Op::Schedule(op), bytes).await
    }

    #[cfg(feature = "schedules")]
    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    pub(super) async fn reader(&self, operation: &'static str) -> Result<PoolConnection<Sqlite>> {
        self.shared.readers.acquire().await.map_err(map_error(operation))
    }
}

#[async_trait]
impl JobQueue for SqliteJobQueue {
    fn capabilities(&self) -> QueueCapabilities {
        let level = self.shared.config.level.clamp(Durability::Process, Durability::Disk);
        QueueCapabilities::new(level, true).with_limits(self.shared.config.limits)
    }

    async fn enqueue(&self, jobs: Vec<Job>) -> Result<Vec<Enqueued>> {
        self.shared.config.limits.check(&jobs)?;
        let bytes = jobs.iter().map(|job| job.payload.len() + JOB_BYTES).sum();
        self.ask(bytes, |answer| Op::Enqueue(jobs, answer)).await
    }

    async fn claim(&self, request: ClaimJobs) -> Result<Vec<ClaimedJob>> {
        check_ttl(request.ttl)?;
        if request.limit == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "claim jobs").with_context("limit", 0));
        }
        self.ask(0, |answer| Op::Claim(request, answer)).await
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer> {
        check_ttl(heartbeat.ttl)?;
        self.shared.config.limits.check_batch("renew claims", heartbeat.runs.len())?;
        self.ask(0, |answer| Op::Heartbeat(heartbeat, answer)).await
    }

    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<JobState>>> {
        let limits = &self.shared.config.limits;
        limits.check_batch("finish jobs", finishes.len())?;
        let mut checked: Vec<_> = finishes.iter().map(|finish| limits.check_finish(finish)).collect();
        let good: Vec<_> = finishes
            .into_iter()
            .zip(&checked)
            .filter(|(_, check)| check.is_ok())
            .map(|(finish, _)| finish)
            .collect();
        let bytes = good.iter().map(|finish| JOB_BYTES + result_bytes(finish)).sum();
        let mut judged = self.ask(bytes, |answer| Op::Finish(good, answer)).await?.into_iter();
        let unjudged = || Error::new(ErrorKind::Internal, "finish jobs");
        Ok(checked.drain(..).map(|check| check.and_then(|()| judged.next().ok_or_else(unjudged)?)).collect())
    }

    async fn changed(&self, queues: &[QueueName], wait: Duration) -> Result<Vec<QueueName>> {
        if queues.is_empty() {
            return Err(
                Error::new(ErrorKind::InvalidInput, "look for jobs").with_context("reason", "no queue")
            );
        }
        let until = tokio::time::Instant::now().checked_add(wait);
        loop {
            let ready = self.shared.ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            let seen = wake::look(&self.shared.readers, queues, self.shared.clock.unix_micros()).await?;
            if !seen.ready.is_empty() {
                return Ok(seen.ready);
            }
            if seen.due == Some(Duration::ZERO) && self.ask(0, Op::TakeBack).await? {
                continue;
            }
            let left = until.map(|until| until.saturating_duration_since(tokio::time::Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(Vec::new());
            }
            let pause = [left, seen.due].into_iter().flatten().fold(self.shared.config.poll, Duration::min);
            // A look that came a little early is not repeated at once.
            let pause = pause.max(Duration::from_millis(1));
            let _ = tokio::time::timeout(pause, ready).await;
        }
    }

    async fn cancel(&self, tenant: &Tenant, id: JobId) -> Result<JobState> {
        self.ask(0, |answer| Op::Cancel(tenant.clone(), id, answer)).await
    }

    async fn read(&self, tenant: &Tenant, id: JobId) -> Result<JobInfo> {
        read::job(&mut *self.reader("read job").await?, tenant, id).await
    }

    async fn outcome(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<Option<RecordedJob>> {
        let mut reader = self.reader("read outcome of job").await?;
        read::outcome(&mut reader, tenant, key, self.shared.clock.unix_micros()).await
    }

    async fn counts(&self, queues: &[QueueName]) -> Result<Vec<QueueCounts>> {
        let mut reader = self.reader("count jobs").await?;
        read::counts(&mut reader, queues, self.shared.clock.unix_micros()).await
    }

    async fn dead_letters(&self, query: DeadJobQuery) -> Result<DeadJobPage> {
        read::dead(&mut *self.reader("list dead jobs").await?, &query).await
    }

    async fn redrive(&self, tenant: &Tenant, ids: Vec<JobId>) -> Result<Vec<JobId>> {
        self.shared.config.limits.check_batch("redrive jobs", ids.len())?;
        self.ask(0, |answer| Op::Redrive(tenant.clone(), ids, answer)).await
    }

    async fn discard(&self, tenant: &Tenant, ids: Vec<JobId>) -> Result<Vec<JobId>> {
        self.shared.config.limits.check_batch("discard jobs", ids.len())?;
        self.ask(0, |answer| Op::Discard(tenant.clone(), ids, answer)).await
    }

    async fn maintain(&self, limit: usize) -> Result<Maintained> {
        self.ask(0, |answer| Op::Maintain(limit, answer)).await
    }
}

/// About what a job takes beside its payload.
const JOB_BYTES: usize = 512;

fn result_bytes(finish: &Finish) -> usize {
    match &finish.outcome {
        RunOutcome::Completed(result) => result.len(),
        _ => 0,
    }
}
