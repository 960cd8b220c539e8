use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::jobs::{LAST_START, MAX_WAIT};
use crate::time::millis;
use crate::{Error, ErrorKind, Result, Topic};

/// The shortest interval; schedules are exact to a second.
pub const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The longest cron expression in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 256;

/// When a schedule runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Timing {
    /// At the times of a cron expression, by the clocks of a time zone.
    ///
    /// Five fields (minute, hour, day of the month, month, day of the week), six with seconds before them, seven with the
    /// year behind them, as the Open Cron Pattern Specification has them. Days of the month and of the week are joined by
    /// *or*, by *and* where the latter begin with `+`.
    ///
    /// Where clocks are set back, a time without `*` and steps in seconds, minutes and hours runs once, at the first of
    /// the two; where they are set forward, what would have run in between runs once at the end of the gap. With `*` or a
    /// step it runs whenever the clock shows a time of the expression: in both of two equal hours, in none that is left out.
    Cron {
        /// Such as `30 9 * * MON-FRI`.
        expression: String,
        /// A name of the time zone database, such as `Europe/Berlin`.
        zone: String,
    },
    /// Every so often.
    Every {
        /// At least [`MIN_INTERVAL`], at most [`MAX_WAIT`].
        #[serde(with = "millis")]
        interval: Duration,
        /// The first run, from which all others are counted.
        anchor_unix_micros: u64,
    },
    /// Once.
    Once {
        /// The run.
        at_unix_micros: u64,
    },
    /// For each event of a topic within the tenant.
    Event {
        /// The topic.
        topic: Topic,
    },
}

impl Timing {
    /// By a cron expression; both names are checked where the schedule is stored.
    pub fn cron(expression: impl Into<String>, zone: impl Into<String>) -> Self {
        Self::Cron { expression: expression.into(), zone: zone.into() }
    }

    /// The topic whose events it runs for.
    pub fn topic(&self) -> Option<&Topic> {
        match self {
            Self::Event { topic } => Some(topic),
            _ => None,
        }
    }

    /// Checks all but a cron expression and its zone, which need a calendar.
    ///
    /// # Errors
    /// `invalid_input` that names the `field`.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Every { interval, .. } if *interval < MIN_INTERVAL => {
                Err(invalid("interval", "shorter than a second")
                    .with_context("interval", format!("{interval:?}")))
            }
            Self::Every { interval, .. } if *interval > MAX_WAIT => {
                Err(invalid("interval", "longer than ten years"))
            }
            Self::Every { anchor_unix_micros, .. } if *anchor_unix_micros > LAST_START => {
                Err(invalid("anchor_unix_micros", "behind the year 9999"))
            }
            Self::Once { at_unix_micros } if *at_unix_micros > LAST_START => {
                Err(invalid("at_unix_micros", "behind the year 9999"))
            }
            Self::Cron { expression, .. } if expression.len() > MAX_EXPRESSION_BYTES => {
                Err(invalid("expression", "too long"))
            }
            _ => Ok(()),
        }
    }
}

/// An `invalid_input` about one field of a schedule.
pub fn invalid(field: &'static str, reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, "check schedule")
        .with_context("field", field)
        .with_context("reason", reason)
}
