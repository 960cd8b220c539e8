use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::JobId;
use crate::layers::{Backoff, Jitter, RetryConfig, RetryPolicy};
use crate::time::millis;

/// How often a job is attempted, and after which waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobRetry {
    /// How many runs there are at most; a lost one counts, a snoozed or released one does not; 5.
    pub max_attempts: u32,
    /// How the waits grow; `exponential`.
    pub backoff: Backoff,
    /// `first_delay_ms`: milliseconds before the second attempt, an upper bound under full jitter; 1 000.
    #[serde(rename = "first_delay_ms", with = "millis")]
    pub first_delay: Duration,
    /// `max_delay_ms`: milliseconds that no wait exceeds; 600 000.
    #[serde(rename = "max_delay_ms", with = "millis")]
    pub max_delay: Duration,
    /// How jobs that failed together are kept from coming back together; `full`.
    pub jitter: Jitter,
}

impl Default for JobRetry {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            backoff: Backoff::Exponential,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(600),
            jitter: Jitter::Full,
        }
    }
}

impl JobRetry {
    /// The wait after a failed `attempt`, counted from 1. Chance comes from the id: the same job waits as long whoever
    /// reckons it.
    pub fn delay(&self, id: JobId, attempt: u32) -> Duration {
        let config = RetryConfig {
            backoff: self.backoff,
            first_delay: self.first_delay,
            max_delay: self.max_delay,
            ..RetryConfig::default()
        };
        let delay = RetryPolicy::new(config).delay(attempt.saturating_sub(1));
        match self.jitter {
            Jitter::Full => delay.mul_f64(chance(id, attempt)),
            Jitter::None => delay,
        }
    }
}

/// From 0 to 1: the id's bits, mixed as the generator SplitMix64 does it (Steele, Lea, Flood, 2014).
fn chance(id: JobId, attempt: u32) -> f64 {
    let (high, low) = id.0.as_u64_pair();
    let seed = (high ^ low).wrapping_add(u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // The upper 53 bits are what an f64 holds exactly.
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = JobRetry { jitter: Jitter::None, ..JobRetry::default() };
        let waits = [1, 2, 3, 10, 11, u32::MAX].map(|attempt| retry.delay(JobId::new(0), attempt).as_secs());
        assert_eq!(waits, [1, 2, 4, 512, 600, 600]);
    }

    #[test]
    fn jitter_is_the_jobs_own_and_within_the_wait() {
        let retry = JobRetry::default();
        let waits: Vec<_> = (0..1_000).map(|time| retry.delay(JobId::new(time), 3)).collect();
        assert!(waits.iter().all(|wait| *wait < Duration::from_secs(4)));
        let mean = waits.iter().map(Duration::as_secs_f64).sum::<f64>() / 1_000.0;
        assert!((1.8..2.2).contains(&mean), "{mean}");
        let id = JobId::new(7);
        assert_eq!(retry.delay(id, 3), retry.delay(id, 3));
        assert_ne!(retry.delay(id, 3) * 2, retry.delay(id, 4));
    }
}
