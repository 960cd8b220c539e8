use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Cause, Job, JobId, JobOutcome, QueueName};
use crate::Tenant;

/// Where a job has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobState {
    /// It is not due yet.
    Waiting,
    /// It can be claimed.
    Ready,
    /// A worker has it.
    Running,
    /// It is done; the queue does not hold it any more.
    Completed,
    /// It was cancelled; the queue does not hold it any more.
    Cancelled,
    /// It is a dead letter.
    Dead,
}

impl JobState {
    /// The name used in logs and in metrics: `waiting` and so on.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }
}

/// What is known of a job that the queue holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobInfo {
    /// The job, without what has had its effect, as [`ClaimedJob`](super::ClaimedJob) says.
    pub job: Job,
    /// Where it has come to.
    pub state: JobState,
    /// How many attempts were used, one under way included.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub cause: Option<Cause>,
    /// When it was added, by the store's clock: microseconds since the Unix epoch.
    pub enqueued_unix_micros: u64,
}

impl JobInfo {
    /// A job without a failed attempt.
    pub fn new(job: Job, state: JobState, attempts: u32, enqueued_unix_micros: u64) -> Self {
        Self { job, state, attempts, cause: None, enqueued_unix_micros }
    }

    /// Adds why the last attempt failed.
    #[must_use]
    pub fn with_cause(mut self, cause: Option<Cause>) -> Self {
        self.cause = cause;
        self
    }
}

/// The job that was enqueued under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedJob {
    /// Its name.
    pub id: JobId,
    /// What became of it; `None` where it has not ended.
    pub outcome: Option<JobOutcome>,
}

impl RecordedJob {
    /// A record.
    pub fn new(id: JobId, outcome: Option<JobOutcome>) -> Self {
        Self { id, outcome }
    }
}

/// What a queue holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueCounts {
    /// The queue.
    pub queue: QueueName,
    /// Jobs that are not due.
    pub waiting: u64,
    /// Jobs that can be claimed.
    pub ready: u64,
    /// Jobs that workers have.
    pub running: u64,
    /// Dead jobs.
    pub dead: u64,
    /// How long ago the oldest of those that can be claimed was added.
    pub oldest_ready: Option<Duration>,
}

impl QueueCounts {
    /// An empty queue.
    pub fn new(queue: QueueName) -> Self {
        Self { queue, waiting: 0, ready: 0, running: 0, dead: 0, oldest_ready: None }
    }
}

/// Asks for dead jobs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DeadJobQuery {
    /// Of this tenant; of all where there is none.
    pub tenant: Option<Tenant>,
    /// Of this queue; of all where there is none.
    pub queue: Option<QueueName>,
    /// Behind this one.
    pub after: Option<DeadJobCursor>,
    /// How many, at most; 0 is one.
    pub limit: usize,
}

impl DeadJobQuery {
    /// The first `limit` dead jobs of all tenants and queues.
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Those of one tenant.
    #[must_use]
    pub fn of(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Those of one queue.
    #[must_use]
    pub fn in_queue(mut self, queue: QueueName) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Goes on where a page ended.
    #[must_use]
    pub fn after(mut self, cursor: DeadJobCursor) -> Self {
        self.after = Some(cursor);
        self
    }
}

/// Where a listing of dead jobs goes on; its meaning is the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadJobCursor(pub i64);

/// A job that is not attempted any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadJob {
    /// The job, without what has had its effect, as [`ClaimedJob`](super::ClaimedJob) says.
    pub job: Job,
    /// Why its last attempt failed.
    pub cause: Cause,
    /// How many attempts there were.
    pub attempts: u32,
    /// When it died, by the store's clock: microseconds since the Unix epoch.
    pub died_unix_micros: u64,
}

impl DeadJob {
    /// A dead job.
    pub fn new(job: Job, cause: Cause, attempts: u32, died_unix_micros: u64) -> Self {
        Self { job, cause, attempts, died_unix_micros }
    }
}

/// Some of the dead jobs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadJobPage {
    /// The jobs.
    pub jobs: Vec<DeadJob>,
    /// Where to go on; `None` behind the last one.
    pub next: Option<DeadJobCursor>,
}

impl DeadJobPage {
    /// A page.
    pub fn new(jobs: Vec<DeadJob>, next: Option<DeadJobCursor>) -> Self {
        Self { jobs, next }
    }
}

/// What one maintenance has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintained {
    /// Things that were removed.
    pub removed: u64,
    /// Whether there is more to do.
    pub more: bool,
}

impl Maintained {
    /// An answer.
    pub fn new(removed: u64, more: bool) -> Self {
        Self { removed, more }
    }
}
