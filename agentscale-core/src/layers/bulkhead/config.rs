use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::limits;
use crate::time::millis;

/// How many calls may be in flight, and how many may wait for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BulkheadConfig {
    /// Calls in flight, 1 to 1 000 000; 64.
    pub max_in_flight: u32,
    /// Calls that may wait for a slot, 0 to 1 000 000; 0.
    pub max_waiting: u32,
    /// `max_wait_ms`: the longest wait in milliseconds, up to a day, and not 0 where calls may wait; 1 000.
    #[serde(rename = "max_wait_ms", with = "millis")]
    pub max_wait: Duration,
}

impl BulkheadConfig {
    pub(super) fn check(&self) -> Result<()> {
        const SETTING: &str = "set up a bulkhead";
        limits::within(SETTING, "max_in_flight", self.max_in_flight, 1..=limits::MOST_CALLS)?;
        limits::within(SETTING, "max_waiting", self.max_waiting, 0..=limits::MOST_CALLS)?;
        let shortest = u128::from(self.max_waiting > 0);
        limits::within(SETTING, "max_wait_ms", millis::rounded_up(self.max_wait), shortest..=limits::DAY_MS)
    }
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self { max_in_flight: 64, max_waiting: 0, max_wait: Duration::from_secs(1) }
    }
}
