use std::time::Duration;

use agentscale_core::jobs::{JobId, JobKind, JobLimits, JobRetry, QueueName};
use agentscale_core::schedule::{
    JobTemplate, LOOK_BACK, MissedRuns, Overlap, Schedule, ScheduleInfo, ScheduleKey, Timing, invalid,
};
use agentscale_core::{Error, ErrorKind, Priority, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::calendar::Calendar;

/// A schedule that is stored, with the number of its row.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: i64,
    pub(crate) info: ScheduleInfo,
}

/// What is stored of a schedule besides its name and the payload of its jobs, as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definition {
    timing: Timing,
    queue: QueueName,
    kind: JobKind,
    priority: Priority,
    retry: JobRetry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    missed: MissedRuns,
    overlap: Overlap,
}

impl Definition {
    /// # Errors
    /// `internal` where it has no JSON.
    pub(crate) fn encode(schedule: &Schedule) -> Result<String> {
        let Schedule { timing, job, missed, overlap, .. } = schedule.clone();
        let timeout_ms = job
            .timeout
            .map(|timeout| u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX));
        let definition = Self {
            timing,
            queue: job.queue,
            kind: job.kind,
            priority: job.priority,
            retry: job.retry,
            timeout_ms,
            missed,
            overlap,
        };
        serde_json::to_string(&definition)
            .map_err(|error| Error::new(ErrorKind::Internal, "encode schedule").with_source(error))
    }

    /// # Errors
    /// `corrupt` for what is none, also where a newer version wrote it.
    pub(crate) fn decode(text: &str, payload: Bytes, key: ScheduleKey) -> Result<Schedule> {
        let definition: Self = serde_json::from_str(text).map_err(|error| {
            Error::new(ErrorKind::Corrupt, "read schedule").with_context("schedule", &key).with_source(error)
        })?;
        let mut job = JobTemplate::new(definition.queue, definition.kind, payload)
            .with_priority(definition.priority)
            .with_retry(definition.retry);
        job.timeout = definition.timeout_ms.map(Duration::from_millis);
        Ok(Schedule::new(key, definition.timing, job)
            .with_missed(definition.missed)
            .with_overlap(definition.overlap))
    }
}

/// The first time of a schedule that is stored at `now`; none where it waits for events.
///
/// # Errors
/// `invalid_input` that names the `field`, also for what never runs; as [`JobLimits::check`] says for its jobs.
pub(crate) fn first_run(schedule: &Schedule, limits: &JobLimits, now: u64) -> Result<Option<u64>> {
    check(schedule, limits, now)?;
    let calendar = Calendar::new(&schedule.timing)?;
    let look_back = u64::try_from(LOOK_BACK.as_micros()).unwrap_or(u64::MAX);
    // A single run may have been meant for right now.
    let (after, field) = match &schedule.timing {
        Timing::Event { .. } => return Ok(None),
        Timing::Once { .. } => (now.saturating_sub(look_back), "at_unix_micros"),
        Timing::Cron { .. } => (now, "expression"),
        _ => (now, "interval"),
    };
    match calendar.next_after(after)? {
        Some(first) => Ok(Some(first)),
        None => Err(invalid(field, "never runs")),
    }
}

/// # Errors
/// `invalid_input` that names the `field`; as [`JobLimits::check`] says for its jobs.
pub(crate) fn check(schedule: &Schedule, limits: &JobLimits, now: u64) -> Result<()> {
    schedule.check()?;
    limits.check(&[schedule.job.job(JobId::new(now), schedule.key.tenant.clone())])
}
