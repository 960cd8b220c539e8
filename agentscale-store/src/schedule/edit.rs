//! What is said about schedules, as a function of what there is.

use agentscale_core::jobs::JobLimits;
use agentscale_core::schedule::{Epoch, Expected, PutSchedule, Revision, ScheduleInfo, ScheduleKey};
use agentscale_core::{Error, ErrorKind, Result};

use super::calendar::Calendar;
use super::record::{check, first_run};

/// What a schedule is like when it was put at `now`; none where it is so already.
///
/// # Errors
/// Those of [`ScheduleStore::put`](agentscale_core::ScheduleStore::put).
pub(crate) fn put(
    before: Option<&ScheduleInfo>,
    request: &PutSchedule,
    limits: &JobLimits,
    revision: Revision,
    now: u64,
) -> Result<Option<ScheduleInfo>> {
    let schedule = &request.schedule;
    let is_expected = match request.expected {
        Expected::Absent => before.is_none(),
        Expected::Revision(revision) => before.is_some_and(|info| info.revision == revision),
        _ => true,
    };
    if !is_expected {
        return Err(conflict("put schedule", &schedule.key, before.map(|info| info.revision)));
    }
    let Some(before) = before else {
        let mut info = ScheduleInfo::new(schedule.clone(), revision, Epoch::default());
        info.next_run_at = first_run(schedule, limits, now)?;
        return Ok(Some(info));
    };
    if before.schedule == *schedule {
        return Ok(None);
    }
    let mut after = before.clone();
    after.schedule = schedule.clone();
    after.revision = revision;
    if before.schedule.timing != schedule.timing {
        let first = first_run(schedule, limits, now)?;
        after.next_run_at = first.filter(|_| !before.is_paused);
    } else {
        check(schedule, limits, now)?;
    }
    Ok(Some(after))
}

/// What a schedule is like when it stands still or goes on at `now`; none where it is so already.
///
/// # Errors
/// Those of [`Calendar`].
pub(crate) fn set_paused(
    before: &ScheduleInfo,
    is_paused: bool,
    revision: Revision,
    now: u64,
) -> Result<Option<ScheduleInfo>> {
    if before.is_paused == is_paused {
        return Ok(None);
    }
    let mut after = before.clone();
    after.revision = revision;
    after.is_paused = is_paused;
    after.next_run_at = match is_paused {
        true => None,
        false => Calendar::new(&before.schedule.timing)?.next_after(now)?,
    };
    Ok(Some(after))
}

/// The error of whoever expects another version than there is.
pub(crate) fn conflict(operation: &'static str, key: &ScheduleKey, revision: Option<Revision>) -> Error {
    let error = Error::new(ErrorKind::Conflict, operation).with_context("schedule", key);
    match revision {
        Some(revision) => error.with_context("revision", revision.0),
        None => error.with_context("reason", "there is none"),
    }
}

/// The error of whoever names a schedule that there is not.
pub(crate) fn not_found(operation: &'static str, key: &ScheduleKey) -> Error {
    Error::new(ErrorKind::NotFound, operation).with_context("schedule", key)
}
