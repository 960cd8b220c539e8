mod saved;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::limits::{self, MOST_CALLS};
use crate::layers::{RateLimit, RateLimitConfig};
use crate::time::Clock;

use saved::Saved;

/// How many retries there may be beside the calls; the default is a fifth of the calls and 10 a second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryBudgetConfig {
    /// The retries that each call pays for, from 0 to 1; 0.2.
    pub ratio: f64,
    /// Retries a second that need no call to pay for them, so that rare calls are retried too; 10.
    pub min_per_sec: u32,
    /// How many retries calls can have paid for and not used; what they pay beyond is lost; 100.
    pub max_saved: u32,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self { ratio: 0.2, min_per_sec: 10, max_saved: 100 }
    }
}

/// A bound on retries over all callers that share it, so that retries do not multiply the load of a component that
/// fails. Clones are the same budget.
///
/// Each call pays for a share of a retry, in whole millionths, and each retry uses up a whole one; besides there are a
/// few each second. Over any time `t`, retries ≤ `max_saved + ratio * calls + min_per_sec * (t + 1 s)`; nothing is
/// saved at the beginning.
///
/// ```
/// use std::sync::Arc;
/// use agentscale_core::layers::{RetryBudget, RetryBudgetConfig};
/// use agentscale_core::time::ManualClock;
///
/// let config = RetryBudgetConfig { ratio: 0.5, min_per_sec: 0, ..RetryBudgetConfig::default() };
/// let budget = RetryBudget::new(&config, Arc::new(ManualClock::new()))?;
/// budget.call();
/// assert!(!budget.try_retry(), "half a retry is none");
/// budget.call();
/// assert!(budget.try_retry());
/// assert!(!budget.try_retry());
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    saved: Saved,
    per_call: u64,
    /// `None` where the configuration gives none.
    minimum: Option<RateLimit>,
}

impl RetryBudget {
    /// A budget that no call has paid into.
    ///
    /// # Errors
    ///
    /// `invalid_input` with the name of a field that is out of its bounds.
    pub fn new(config: &RetryBudgetConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.check()?;
        let minimum = NonZeroU32::new(config.min_per_sec)
            .map(|calls| RateLimitConfig { calls, per: Duration::from_secs(1), burst: calls })
            .map(|rate| RateLimit::new(&rate, clock))
            .transpose()?;
        let per_call = (config.ratio * Saved::RETRY as f64).round() as u64;
        Ok(Self { shared: Arc::new(Shared { saved: Saved::up_to(config.max_saved), per_call, minimum }) })
    }

    /// A call is made, whatever comes of it; its retries do not count as calls.
    #[inline]
    pub fn call(&self) {
        self.shared.saved.pay(self.shared.per_call);
    }

    /// Takes one retry out of the budget, if there is one. It does not come back.
    pub fn try_retry(&self) -> bool {
        let Shared { saved, minimum, .. } = &*self.shared;
        saved.try_use() || minimum.as_ref().is_some_and(RateLimit::admits)
    }
}

impl RetryBudgetConfig {
    fn check(&self) -> Result<()> {
        const OPERATION: &str = "set up a retry budget";
        limits::within(OPERATION, "ratio", self.ratio, 0.0..=1.0)?;
        limits::within(OPERATION, "min_per_sec", self.min_per_sec, 0..=MOST_CALLS)?;
        limits::within(OPERATION, "max_saved", self.max_saved, 1..=MOST_CALLS)
    }
}
