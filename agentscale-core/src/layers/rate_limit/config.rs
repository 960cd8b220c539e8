use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::millis;

/// A rate of calls: `calls` in each `per`, evenly spread, and `burst` at once after a rest (row O7b).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    /// How many calls; 60.
    pub calls: NonZeroU32,
    /// `per_ms`: in how many milliseconds; 1 000.
    #[serde(rename = "per_ms", with = "millis")]
    pub per: Duration,
    /// How many calls may come at once after a rest; 60.
    pub burst: NonZeroU32,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        let sixty = NonZeroU32::MIN.saturating_add(59);
        Self { calls: sixty, per: Duration::from_secs(1), burst: sixty }
    }
}
