use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Epoch, Job, JobId, QueueName};
use crate::MessageId;

/// Names a worker from its start to its end: no two have the same, and none has it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub Uuid);

impl WorkerId {
    /// A name for a worker that starts at `unix_micros`, microseconds since the Unix epoch.
    pub fn new(unix_micros: u64) -> Self {
        Self(*MessageId::new(unix_micros).as_uuid())
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One claim of a job. Whatever is said about it is fenced by the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// The job.
    pub id: JobId,
    /// The fencing token of the claim.
    pub epoch: Epoch,
}

/// Asks for jobs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClaimJobs {
    /// Who asks.
    pub worker: WorkerId,
    /// Where.
    pub queue: QueueName,
    /// How many, at most.
    pub limit: usize,
    /// How long a run lives without a heartbeat.
    pub ttl: Duration,
}

impl ClaimJobs {
    /// A claim of up to `limit` jobs for [`DEFAULT_TTL`](super::DEFAULT_TTL).
    pub fn new(worker: WorkerId, queue: QueueName, limit: usize) -> Self {
        Self { worker, queue, limit, ttl: super::DEFAULT_TTL }
    }

    /// Claims for another time.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }
}

/// A job that was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClaimedJob {
    /// The job, without what has had its effect: `start`, `unique` and `idempotency` are those of [`Job::new`].
    pub job: Job,
    /// The fencing token of the run.
    pub epoch: Epoch,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When the job was added, by the store's clock: microseconds since the Unix epoch.
    pub enqueued_unix_micros: u64,
}

impl ClaimedJob {
    /// A claimed job.
    pub fn new(job: Job, epoch: Epoch, attempt: u32, enqueued_unix_micros: u64) -> Self {
        Self { job, epoch, attempt, enqueued_unix_micros }
    }

    /// Names the run.
    pub fn run(&self) -> Run {
        Run { id: self.job.id, epoch: self.epoch }
    }

    /// Whether a failure makes it a dead letter.
    pub fn is_last_attempt(&self) -> bool {
        self.attempt >= self.job.retry.max_attempts
    }
}

/// Says that runs are under way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Heartbeat {
    /// Whose runs.
    pub worker: WorkerId,
    /// The runs.
    pub runs: Vec<Run>,
    /// How long they live from now on.
    pub ttl: Duration,
}

impl Heartbeat {
    /// A heartbeat for [`DEFAULT_TTL`](super::DEFAULT_TTL).
    pub fn new(worker: WorkerId, runs: Vec<Run>) -> Self {
        Self { worker, runs, ttl: super::DEFAULT_TTL }
    }

    /// Lets them live for another time.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }
}

/// What a worker learns by its heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeartbeatAnswer {
    /// Runs that have ended: their time ran out, another worker has the job, or they were finished. They stop.
    pub lost: Vec<Run>,
    /// Runs of jobs that somebody wants cancelled.
    pub cancelled: Vec<Run>,
}

impl HeartbeatAnswer {
    /// An answer.
    pub fn new(lost: Vec<Run>, cancelled: Vec<Run>) -> Self {
        Self { lost, cancelled }
    }
}
