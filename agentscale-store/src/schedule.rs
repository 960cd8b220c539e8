//! What the schedules of every backend share: when they run, which jobs they make.

mod calendar;
pub(crate) mod edit;
mod names;
pub(crate) mod plan;
pub(crate) mod record;

use std::time::Duration;

use agentscale_core::schedule::{MAX_PAGE, ScheduleInfo, SchedulePage};
use agentscale_core::{Error, ErrorKind, Result};

/// The history that is kept unless said otherwise.
pub(crate) const HISTORY: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// A page of up to `limit`, of which one more was read.
pub(crate) fn page_of(mut found: Vec<ScheduleInfo>, limit: usize) -> SchedulePage {
    let is_last = found.len() <= limit;
    found.truncate(limit);
    let next = found.last().filter(|_| !is_last).map(|info| info.schedule.key.name.clone());
    SchedulePage::new(found, next)
}

/// # Errors
/// `too_large` for more events than a trigger takes.
pub(crate) fn too_many(events: usize) -> Result<()> {
    if events <= MAX_PAGE {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, "trigger schedules")
        .with_context("events", events)
        .with_context("limit", MAX_PAGE))
}
