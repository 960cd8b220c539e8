//! What is to be done about a schedule whose time has come: a function of the row, its policy and the time.

use std::collections::VecDeque;
use std::time::Duration;

use super::MissedRuns;
use crate::Result;

/// No run is made up for when its time is longer ago.
pub const LOOK_BACK: Duration = Duration::from_secs(3_600);
/// A run that begins later is a late one.
pub const LATE_AFTER: Duration = Duration::from_secs(60);
/// Runs before the look back are counted up to this number.
const MOST_COUNTED: u64 = 10_000;

/// What a firing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Firing {
    /// The times for which a job is enqueued, ascending, in microseconds since 1970.
    pub runs: Vec<u64>,
    /// Times that passed without a job. Beyond 10,000 of one firing before the look back it is a lower bound.
    pub missed: u64,
    /// The first time after now, none where the schedule has ended.
    pub next_run_at: Option<u64>,
}

/// Decides what a schedule that is due at `due` does at `now`; `next_after` is the first of its times after another.
///
/// Times are microseconds since 1970. Nothing happens before `due`, so that a clock that steps back runs nothing twice.
///
/// # Errors
/// Those of `next_after`.
pub fn fire(
    due: u64,
    now: u64,
    missed: MissedRuns,
    mut next_after: impl FnMut(u64) -> Result<Option<u64>>,
) -> Result<Firing> {
    let horizon = now.saturating_sub(micros(LOOK_BACK));
    let most = match missed {
        MissedRuns::CatchUp { most } => most as usize,
        _ => 1,
    };
    let mut firing = Firing::default();
    let mut kept = VecDeque::with_capacity(most);
    let mut next = Some(due);
    while let Some(run) = next.filter(|run| *run <= now) {
        if run >= horizon {
            kept.push_back(run);
        } else {
            firing.missed += 1;
        }
        if kept.len() > most {
            kept.pop_front();
            firing.missed += 1;
        }
        next = match firing.missed >= MOST_COUNTED && run < horizon {
            true => next_after(horizon.saturating_sub(1))?,
            false => next_after(run)?,
        };
    }
    if missed == MissedRuns::Skip {
        let before = kept.len();
        kept.retain(|run| !is_late(*run, now));
        firing.missed += (before - kept.len()) as u64;
    }
    firing.runs = kept.into();
    firing.next_run_at = next;
    Ok(firing)
}

/// Whether a run that begins now is more than a minute behind its time.
pub fn is_late(run: u64, now: u64) -> bool {
    now.saturating_sub(run) > micros(LATE_AFTER)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
