use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::limits;

/// How many calls may be in flight, and how much of that is kept free for the urgent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriorityShedConfig {
    /// Calls in flight, 1 to 1 000 000; 200.
    pub max_in_flight: u32,
    /// Percent of the calls in flight that may be kept free for classes above, 0 to 50; 10. It is what goodput may
    /// lose. A half of it is kept free of all below the highest class that asks, and more where that class asks for much;
    /// below a half where there are no calls of the classes above.
    pub max_headroom_percent: u32,
}

impl PriorityShedConfig {
    pub(super) fn check(&self) -> Result<()> {
        const SETTING: &str = "set up priority shedding";
        limits::within(SETTING, "max_in_flight", self.max_in_flight, 1..=limits::MOST_CALLS)?;
        limits::within(SETTING, "max_headroom_percent", self.max_headroom_percent, 0..=50)
    }
}

impl Default for PriorityShedConfig {
    fn default() -> Self {
        Self { max_in_flight: 200, max_headroom_percent: 10 }
    }
}
