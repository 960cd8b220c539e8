use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::limits;
use crate::time::millis;

/// When a call is made a second time, and how often that may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HedgeConfig {
    /// When the second call is made; the 95th percentile.
    pub trigger: HedgeTrigger,
    /// Extra calls for 100 calls, 1 to 100; 5.
    pub budget_percent: u32,
    /// `window_ms`: milliseconds, up to a day and not 0; times of answers longer ago do not count, and what was left of
    /// the budget then is gone; 60 000.
    #[serde(rename = "window_ms", with = "millis")]
    pub window: Duration,
}

/// What a call that is made a second time has exceeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum HedgeTrigger {
    /// The time that so many percent of the recent answers kept.
    Percentile {
        /// 1 to 99.
        percent: u32,
        /// With fewer answers in the window no call is made twice, 1 to 1 000 000.
        min_samples: u32,
    },
    /// A fixed time.
    Fixed {
        /// `delay_ms`: milliseconds, up to a day.
        #[serde(rename = "delay_ms", with = "millis")]
        delay: Duration,
    },
}

impl HedgeConfig {
    pub(super) fn check(&self) -> Result<()> {
        const SETTING: &str = "set up hedging";
        limits::within(SETTING, "budget_percent", self.budget_percent, 1..=100)?;
        limits::within(SETTING, "window_ms", millis::rounded_up(self.window), 1..=limits::DAY_MS)?;
        match self.trigger {
            HedgeTrigger::Percentile { percent, min_samples } => {
                limits::within(SETTING, "percent", percent, 1..=99)?;
                limits::within(SETTING, "min_samples", min_samples, 1..=limits::MOST_CALLS)
            }
            HedgeTrigger::Fixed { delay } => {
                limits::within(SETTING, "delay_ms", millis::rounded_up(delay), 0..=limits::DAY_MS)
            }
        }
    }
}

impl Default for HedgeConfig {
    fn default() -> Self {
        let trigger = HedgeTrigger::Percentile { percent: 95, min_samples: 50 };
        Self { trigger, budget_percent: 5, window: Duration::from_secs(60) }
    }
}
