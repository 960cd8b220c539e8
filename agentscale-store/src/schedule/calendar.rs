//! The times of a schedule.

mod cron;

use agentscale_core::schedule::{Timing, invalid};
use agentscale_core::{Error, Result};
use cron::Cron;

/// A timing that was understood.
#[derive(Clone, Debug)]
pub(crate) enum Calendar {
    Cron(Box<Cron>),
    Every { interval: u64, anchor: u64 },
    Once { at: u64 },
    Event,
}

impl Calendar {
    /// # Errors
    /// `invalid_input` that names the `field`, also for what never runs.
    pub(crate) fn new(timing: &Timing) -> Result<Self> {
        timing.check()?;
        let calendar = match timing {
            Timing::Cron { expression, zone } => Self::Cron(Box::new(Cron::parse(expression, zone)?)),
            Timing::Every { interval, anchor_unix_micros } => Self::Every {
                interval: u64::try_from(interval.as_micros())
                    .map_err(|error| invalid("interval", "too long").with_source(error))?,
                anchor: *anchor_unix_micros,
            },
            Timing::Once { at_unix_micros } => Self::Once { at: *at_unix_micros },
            Timing::Event { .. } => Self::Event,
            other => return Err(unknown(other)),
        };
        Ok(calendar)
    }

    /// The first time after `after`, in microseconds since 1970; none where there is none.
    ///
    /// # Errors
    /// `internal` where the libraries that know the calendar disagree.
    pub(crate) fn next_after(&self, after: u64) -> Result<Option<u64>> {
        match self {
            Self::Cron(cron) => cron.next_after(after),
            Self::Every { anchor, .. } if after < *anchor => Ok(Some(*anchor)),
            Self::Every { interval, anchor } => {
                let runs = (after - anchor) / interval + 1;
                Ok(runs.checked_mul(*interval).and_then(|since| anchor.checked_add(since)))
            }
            Self::Once { at } => Ok(Some(*at).filter(|at| *at > after)),
            Self::Event => Ok(None),
        }
    }
}

fn unknown(timing: &Timing) -> Error {
    invalid("timing", "unknown to this store").with_context("timing", format!("{timing:?}"))
}

#[cfg(test)]
mod tests;
