use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{JobKind, JobOutcome, JobRetry, QueueName, UniqueKey};
use crate::{IdempotencyKey, MessageId, Priority, Tenant, TraceContext};

/// Names a job. It is chosen by whoever enqueues it, the same when the enqueue is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub Uuid);

impl JobId {
    /// A new id at `unix_micros`, microseconds since the Unix epoch: a UUID of version 7.
    pub fn new(unix_micros: u64) -> Self {
        Self(*MessageId::new(unix_micros).as_uuid())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What is to be done, as whoever enqueues it says.
///
/// ```
/// use std::time::Duration;
/// use agentscale_core::jobs::{Job, JobId, JobRetry};
/// use agentscale_core::{Priority, Tenant};
///
/// # fn main() -> agentscale_core::Result<()> {
/// let id = JobId::new(1_795_000_000_000_000);
/// let job = Job::new(id, Tenant::new("acme")?, "mail".try_into()?, "welcome".try_into()?, r#"{"to":"alice"}"#)
///     .with_priority(Priority::Scheduled)
///     .with_delay(Duration::from_secs(60))
///     .with_retry(JobRetry { max_attempts: 3, ..JobRetry::default() });
/// assert_eq!(job.retry.max_attempts, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// Whose it is.
    pub tenant: Tenant,
    /// Where it waits.
    pub queue: QueueName,
    /// What it is about.
    pub kind: JobKind,
    /// What its handler reads.
    pub payload: Bytes,
    /// Its class in the queue; a conversation's unless said otherwise.
    pub priority: Priority,
    /// When it is ready; at once unless said otherwise.
    pub start: JobStart,
    /// How often it is attempted, and after which waits.
    pub retry: JobRetry,
    /// How long one run may take; as long as its worker says unless said otherwise.
    pub timeout: Option<Duration>,
    /// Where one such job is enough.
    pub unique: Option<Unique>,
    /// Where it must not run again although it has ended.
    pub idempotency: Option<Idempotency>,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
}

impl Job {
    /// A job for now.
    pub fn new(
        id: JobId,
        tenant: Tenant,
        queue: QueueName,
        kind: JobKind,
        payload: impl Into<Bytes>,
    ) -> Self {
        Self {
            id,
            tenant,
            queue,
            kind,
            payload: payload.into(),
            priority: Priority::default(),
            start: JobStart::Now,
            retry: JobRetry::default(),
            timeout: None,
            unique: None,
            idempotency: None,
            trace: None,
        }
    }

    /// Puts it into another class.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Lets it wait, from the moment at which the store adds it.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.start = JobStart::After(delay);
        self
    }

    /// Lets it wait until a moment by the store's clock: microseconds since the Unix epoch. One that is over is now.
    #[must_use]
    pub fn at(mut self, unix_micros: u64) -> Self {
        self.start = JobStart::At(unix_micros);
        self
    }

    /// Says how often it is attempted, and after which waits.
    #[must_use]
    pub fn with_retry(mut self, retry: JobRetry) -> Self {
        self.retry = retry;
        self
    }

    /// Bounds each run.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Says that one such job is enough.
    #[must_use]
    pub fn with_unique(mut self, unique: Unique) -> Self {
        self.unique = Some(unique);
        self
    }

    /// Keeps its outcome, and does not run it again.
    #[must_use]
    pub fn with_idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = Some(idempotency);
        self
    }

    /// Makes it part of a trace.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }
}

/// When a job is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobStart {
    /// At once.
    Now,
    /// This long after it was added.
    After(Duration),
    /// At this moment by the store's clock: microseconds since the Unix epoch.
    At(u64),
}

/// One job of this key is enough, among those of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unique {
    /// What is the same in two such jobs.
    pub key: UniqueKey,
    /// How long the job holds the key.
    pub until: UniqueUntil,
}

/// How long a job holds its unique key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UniqueUntil {
    /// Until it is completed, cancelled or dead: through waits and retries.
    #[default]
    Ended,
    /// Until it is claimed for the first time, so that what changes while it runs enqueues another one.
    Begun,
}

/// Lets a job have one outcome, however often it is enqueued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// Among those of the tenant.
    pub key: IdempotencyKey,
    /// How long the outcome is kept once there is one.
    pub retention: Duration,
}

impl Idempotency {
    /// Keeps the outcome for 24 hours.
    pub fn new(key: IdempotencyKey) -> Self {
        Self { key, retention: Duration::from_secs(24 * 60 * 60) }
    }
}

/// What became of a job that was to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Enqueued {
    /// It was.
    Added(JobId),
    /// There is one already: this id, this idempotency key or this unique key.
    Exists {
        /// The one that is there.
        id: JobId,
        /// What became of it, where its idempotency key says so.
        outcome: Option<JobOutcome>,
    },
}

impl Enqueued {
    /// The job that is there now.
    pub fn id(&self) -> JobId {
        match self {
            Self::Added(id) | Self::Exists { id, .. } => *id,
        }
    }

    /// Whether it was added.
    pub fn is_added(&self) -> bool {
        matches!(self, Self::Added(_))
    }
}
