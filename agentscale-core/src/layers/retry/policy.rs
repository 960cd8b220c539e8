//! The decision as a function of what is known: retries made, error, chance.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::{Backoff, Jitter, RetryConfig};
use crate::{Error, Retry};

/// Decides whether and when a call is repeated.
///
/// ```
/// use std::time::Duration;
/// use agentscale_core::layers::{Component, Decision, RetryPolicy};
/// use agentscale_core::{Error, ErrorKind};
///
/// let policy = RetryPolicy::new(Component::Llm.retry());
/// let error = Error::new(ErrorKind::Unavailable, "complete");
/// assert_eq!(policy.decide(2, &error, 0.5), Decision::RetryAfter(Duration::from_secs(2))); // half of 4 s
/// assert_eq!(policy.decide(3, &error, 0.5), Decision::GiveUp);
/// ```
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    config: RetryConfig,
}

/// What to do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Call again after this wait.
    RetryAfter(Duration),
    /// Pass the error on.
    GiveUp,
}

/// After this many doublings of a nanosecond every delay has reached any bound.
const DOUBLINGS: u32 = 63;

impl RetryPolicy {
    /// A policy by `config`.
    pub fn new(config: RetryConfig) -> Self {
        Self { config }
    }

    /// What to do about `error` after `retries` retries, with `chance` chosen uniformly from 0 to 1.
    pub fn decide(&self, retries: u32, error: &Error, chance: f64) -> Decision {
        if error.retry() != Retry::Later || retries >= self.config.max_retries {
            return Decision::GiveUp;
        }
        let wish = error.retry_after().unwrap_or_default();
        if wish > self.config.max_retry_after {
            return Decision::GiveUp;
        }
        let delay = self.delay(retries);
        Decision::RetryAfter(match self.config.jitter {
            Jitter::Full => wish.saturating_add(share(delay, chance)),
            Jitter::None => wish.max(delay),
        })
    }

    /// The delay of the backoff before the retry that follows `retries` others, without jitter.
    pub fn delay(&self, retries: u32) -> Duration {
        let first = self.config.first_delay;
        let delay = match self.config.backoff {
            Backoff::Fixed => Some(first),
            // backon has no linear sequence.
            Backoff::Linear => Some(first.saturating_mul(retries.saturating_add(1))),
            Backoff::Exponential => doublings(retries)
                .and_then(|doublings| u64::try_from(first.as_nanos().checked_mul(doublings)?).ok())
                .map(Duration::from_nanos),
        };
        delay.unwrap_or(self.config.max_delay).min(self.config.max_delay)
    }
}

fn share(delay: Duration, chance: f64) -> Duration {
    Duration::try_from_secs_f64(delay.as_secs_f64() * chance).unwrap_or(delay).min(delay)
}

/// backon multiplies in `f32`, in which 1.1 s are not exact and doubled seconds are. The delays are upper bounds, so
/// they are exact.
fn doublings(retries: u32) -> Option<u128> {
    const SECOND: Duration = Duration::from_secs(1);
    let mut seconds = ExponentialBuilder::new()
        .with_min_delay(SECOND)
        .with_max_delay(Duration::from_secs(1 << DOUBLINGS))
        .without_max_times()
        .build();
    seconds.nth(retries.min(DOUBLINGS) as usize).map(|delay| delay.as_secs().into())
}
