//! How long a pool's turns run before they first wait, so that nobody stands behind a long one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Below this average a turn's first stretch costs less than handing it to another thread.
const QUICK: Duration = Duration::from_micros(10);

/// The share of a new measurement in the average: one in so many.
const WEIGHT: u32 = 8;

/// A running average of nanoseconds.
#[derive(Debug)]
pub(super) struct Pace(AtomicU32);

impl Default for Pace {
    /// Nothing is known, and nothing assumed: the first few turns show it.
    fn default() -> Self {
        Self(AtomicU32::new(2 * QUICK.subsec_nanos()))
    }
}

impl Pace {
    pub(super) fn is_quick(&self) -> bool {
        self.0.load(Ordering::Relaxed) < QUICK.subsec_nanos()
    }

    /// Whether to measure the next one: each, until they are known as quick, and then some.
    pub(super) fn measures(&self) -> bool {
        !self.is_quick() || fastrand::u8(..) < 16
    }

    /// Of two measurements at once, one may be lost.
    pub(super) fn record(&self, ran: Duration) {
        let nanos = u32::try_from(ran.as_nanos()).unwrap_or(u32::MAX);
        let average = self.0.load(Ordering::Relaxed);
        self.0.store(average - average / WEIGHT + nanos / WEIGHT, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_short_turns_make_a_pool_quick_and_one_long_turn_ends_it() {
        let pace = Pace::default();
        assert!(!pace.is_quick());
        for _ in 0..8 {
            pace.record(Duration::from_nanos(300));
        }
        assert!(pace.is_quick());
        pace.record(Duration::from_millis(1));
        assert!(!pace.is_quick());
        pace.record(Duration::from_secs(3_600));
        assert!(!pace.is_quick());
    }
}
