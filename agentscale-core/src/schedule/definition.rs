use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{MissedRuns, Overlap, ScheduleName, Timing};
use crate::jobs::{Job, JobId, JobKind, JobRetry, QueueName};
use crate::{Priority, Result, Tenant};

/// Names a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ScheduleKey {
    /// Whose it is.
    pub tenant: Tenant,
    /// Its name among those of the tenant.
    pub name: ScheduleName,
}

impl ScheduleKey {
    /// Checks the name.
    ///
    /// # Errors
    /// `invalid_input` for a name that is none.
    pub fn new(tenant: &Tenant, name: &str) -> Result<Self> {
        Ok(Self { tenant: tenant.clone(), name: name.try_into()? })
    }
}

impl fmt::Display for ScheduleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.name)
    }
}

/// What runs when.
///
/// ```
/// use agentscale_core::Tenant;
/// use agentscale_core::schedule::{JobTemplate, MissedRuns, Schedule, ScheduleKey, Timing};
///
/// # fn main() -> agentscale_core::Result<()> {
/// let key = ScheduleKey::new(&Tenant::new("acme")?, "weekly digest")?;
/// let job = JobTemplate::new("mail".try_into()?, "digest".try_into()?, r#"{"for":"everyone"}"#);
/// let schedule = Schedule::new(key, Timing::cron("0 9 * * MON", "Europe/Berlin"), job)
///     .with_missed(MissedRuns::CatchUp { most: 2 });
/// schedule.check()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// Its name.
    pub key: ScheduleKey,
    /// When it runs.
    pub timing: Timing,
    /// What it enqueues.
    pub job: JobTemplate,
    /// What becomes of runs whose time passed; one job for all of them unless said otherwise.
    pub missed: MissedRuns,
    /// Whether its jobs may run side by side; they may unless said otherwise.
    pub overlap: Overlap,
}

impl Schedule {
    /// A schedule with the default policies.
    pub fn new(key: ScheduleKey, timing: Timing, job: JobTemplate) -> Self {
        Self { key, timing, job, missed: MissedRuns::default(), overlap: Overlap::default() }
    }

    /// Says what becomes of runs whose time passed.
    #[must_use]
    pub fn with_missed(mut self, missed: MissedRuns) -> Self {
        self.missed = missed;
        self
    }

    /// Says whether its jobs may run side by side.
    #[must_use]
    pub fn with_overlap(mut self, overlap: Overlap) -> Self {
        self.overlap = overlap;
        self
    }

    /// Checks all but a cron expression and its zone, and the job.
    ///
    /// # Errors
    /// `invalid_input` that names the `field`.
    pub fn check(&self) -> Result<()> {
        self.timing.check()?;
        self.missed.check()
    }
}

/// The job of a schedule, but for its name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobTemplate {
    /// Where it waits.
    pub queue: QueueName,
    /// What it is about.
    pub kind: JobKind,
    /// What its handler reads. That of an event's job is the body of the event where this is empty.
    pub payload: Bytes,
    /// Its class in the queue; [`Priority::Scheduled`] unless said otherwise.
    pub priority: Priority,
    /// How often it is attempted, and after which waits.
    pub retry: JobRetry,
    /// How long one run may take; as long as its worker says unless said otherwise.
    pub timeout: Option<Duration>,
}

impl JobTemplate {
    /// A template with the defaults.
    pub fn new(queue: QueueName, kind: JobKind, payload: impl Into<Bytes>) -> Self {
        Self {
            queue,
            kind,
            payload: payload.into(),
            priority: Priority::Scheduled,
            retry: JobRetry::default(),
            timeout: None,
        }
    }

    /// Puts the jobs into another class.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Says how often they are attempted, and after which waits.
    #[must_use]
    pub fn with_retry(mut self, retry: JobRetry) -> Self {
        self.retry = retry;
        self
    }

    /// Bounds each of their runs.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The job for now.
    pub fn job(&self, id: JobId, tenant: Tenant) -> Job {
        let mut job = Job::new(id, tenant, self.queue.clone(), self.kind.clone(), self.payload.clone())
            .with_priority(self.priority)
            .with_retry(self.retry.clone());
        job.timeout = self.timeout;
        job
    }
}
