use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Clock, Monotonic, saturating_nanos};

/// A clock that stands still until it is told to move. Clones share their time.
///
/// It moves no timer: what sleeps is tested on a paused tokio clock with [`SystemClock`](super::SystemClock).
///
/// ```
/// use std::time::Duration;
/// use agentscale_core::time::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(30));
/// assert_eq!(clock.now().since(before), Duration::from_secs(30));
/// assert_eq!(clock.unix_micros(), ManualClock::UNIX_START + 30_000_000);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    elapsed: Arc<AtomicU64>,
}

impl ManualClock {
    /// The wall time at the clock's origin: 2026-01-01T00:00:00Z in microseconds.
    pub const UNIX_START: u64 = 1_767_225_600_000_000;

    /// A clock at its origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves both the monotonic and the wall time forward, up to the largest reading.
    pub fn advance(&self, by: Duration) {
        let later = |elapsed: u64| Some(elapsed.saturating_add(saturating_nanos(by)));
        // It has a next reading for each, so that this cannot fail.
        let _ = self.elapsed.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Monotonic {
        Monotonic::from_nanos(self.elapsed.load(Ordering::Acquire))
    }

    fn unix_micros(&self) -> u64 {
        Self::UNIX_START + self.elapsed.load(Ordering::Acquire) / 1_000
    }
}
