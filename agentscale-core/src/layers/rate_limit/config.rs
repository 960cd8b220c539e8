use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;
use serde::{Deserialize, Serialize};

use crate::time::{millis, saturating_nanos};
use crate::{Error, ErrorKind, Result};

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

impl RateLimitConfig {
    /// The rate as governor keeps it.
    pub(super) fn quota(&self) -> Result<Quota> {
        // Rounded up to a nanosecond, so that the rate is never exceeded.
        let interval = saturating_nanos(self.per).div_ceil(self.calls.get().into());
        let is_possible = u128::from(self.calls.get()) <= self.per.as_nanos();
        let interval = Some(Duration::from_nanos(interval)).filter(|_| is_possible);
        let refill = interval.and_then(|interval| interval.checked_mul(self.burst.get()));
        let quota = refill.filter(|refill| *refill <= LONGEST).and(interval).and_then(Quota::with_period);
        let quota = quota.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "set up a rate limit")
                .with_context("calls", self.calls)
                .with_context("per_ms", self.per.as_millis())
                .with_context("burst", self.burst)
        })?;
        Ok(quota.allow_burst(self.burst))
    }
}

/// The longest time in which governor's sums of nanoseconds cannot overflow with room to spare.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
