use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Finish, Job, JobStart, RunOutcome};
use crate::checkpoint::Durability;
use crate::time::millis;
use crate::{Error, ErrorKind, Result};

/// How long a run lives without a heartbeat unless its worker says otherwise.
pub const DEFAULT_TTL: Duration = Duration::from_secs(15);
/// The shortest time of a claim.
pub const MIN_TTL: Duration = Duration::from_secs(2);
/// The longest time of a claim.
pub const MAX_TTL: Duration = Duration::from_secs(60 * 60);
/// The most attempts of a job.
pub const MAX_ATTEMPTS: u32 = 1_000;
/// The longest delay, snooze, wait between attempts, time of a run and retention of an outcome: 10 years.
pub const MAX_WAIT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// 9999-12-31T00:00:00Z, in microseconds since the Unix epoch.
pub(crate) const LAST_START: u64 = 253_402_214_400_000_000;

/// What a [`JobQueue`](super::JobQueue) can do beyond its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueCapabilities {
    /// What an acknowledged enqueue or finish has survived.
    pub durability: Durability,
    /// Whether several processes may share the queue.
    pub multi_process: bool,
    /// Its limits.
    pub limits: JobLimits,
}

impl QueueCapabilities {
    /// Capabilities with the default limits.
    pub fn new(durability: Durability, multi_process: bool) -> Self {
        Self { durability, multi_process, limits: JobLimits::default() }
    }

    /// Says other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: JobLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// How much a queue takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JobLimits {
    /// Bytes of a payload, and of a result; 1 MiB.
    pub payload_bytes: usize,
    /// Jobs of one enqueue, runs of one heartbeat, finishes and ids of one call, and what a claim takes at most; 1 000.
    pub batch: usize,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self { payload_bytes: 1 << 20, batch: 1_000 }
    }
}

impl JobLimits {
    /// Checks jobs that are to be added.
    ///
    /// # Errors
    /// `too_large` for a payload over its limit and for too many jobs. `invalid_input` for attempts other than 1 to
    /// [`MAX_ATTEMPTS`], a wait above [`MAX_WAIT`], a first wait above the longest, a start behind the year 9999, and a run that may take no time.
    pub fn check(&self, jobs: &[Job]) -> Result<()> {
        self.check_batch("enqueue jobs", jobs.len())?;
        jobs.iter().try_for_each(|job| {
            self.check_bytes("enqueue jobs", job.payload.len())
                .and_then(|()| check_job(job))
                .map_err(|error| error.with_context("job", job.id))
        })
    }

    /// Checks one end of a run.
    ///
    /// # Errors
    /// `too_large` for a result over the limit, `invalid_input` for a wait above [`MAX_WAIT`].
    pub fn check_finish(&self, finish: &Finish) -> Result<()> {
        match &finish.outcome {
            RunOutcome::Completed(result) => self.check_bytes("finish job", result.len()),
            RunOutcome::Retry { after, .. } | RunOutcome::Snooze(after) => {
                check_wait("finish job", "after", *after)
            }
            RunOutcome::Dead(_) | RunOutcome::Cancelled => Ok(()),
        }
        .map_err(|error| error.with_context("job", finish.run.id))
    }

    /// Checks how many things come at once.
    ///
    /// # Errors
    /// `too_large` for too many.
    pub fn check_batch(&self, operation: &'static str, number: usize) -> Result<()> {
        if number <= self.batch {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, operation)
            .with_context("number", number)
            .with_context("limit", self.batch))
    }

    fn check_bytes(&self, operation: &'static str, bytes: usize) -> Result<()> {
        if bytes <= self.payload_bytes {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, operation)
            .with_context("bytes", bytes)
            .with_context("limit", self.payload_bytes))
    }
}

/// # Errors
/// `invalid_input` for less than [`MIN_TTL`], and above [`MAX_TTL`].
pub fn check_ttl(ttl: Duration) -> Result<()> {
    if (MIN_TTL..=MAX_TTL).contains(&ttl) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "read time of claim")
        .with_context("ttl", format!("{ttl:?}"))
        .with_context("bounds", format!("{MIN_TTL:?} to {MAX_TTL:?}")))
}

fn check_job(job: &Job) -> Result<()> {
    let operation = "enqueue jobs";
    let invalid =
        |what: &'static str| Error::new(ErrorKind::InvalidInput, operation).with_context("field", what);
    if !(1..=MAX_ATTEMPTS).contains(&job.retry.max_attempts) {
        return Err(invalid("max_attempts").with_context("limit", MAX_ATTEMPTS));
    }
    // Waits are kept as whole milliseconds.
    if job.retry.first_delay > job.retry.max_delay
        || millis::rounded_up(job.retry.max_delay) > MAX_WAIT.as_millis()
    {
        return Err(invalid("retry"));
    }
    match job.start {
        JobStart::Now => {}
        JobStart::After(delay) => check_wait(operation, "delay", delay)?,
        JobStart::At(moment) if moment > LAST_START => return Err(invalid("start")),
        JobStart::At(_) => {}
    }
    if job.timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(invalid("timeout"));
    }
    check_wait(operation, "timeout", job.timeout.unwrap_or_default())?;
    let retention = job.idempotency.as_ref().map(|idempotency| idempotency.retention);
    check_wait(operation, "retention", retention.unwrap_or_default())
}

fn check_wait(operation: &'static str, what: &'static str, wait: Duration) -> Result<()> {
    if wait <= MAX_WAIT {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, operation)
        .with_context("field", what)
        .with_context("limit", format!("{MAX_WAIT:?}")))
}
