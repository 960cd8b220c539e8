use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::{Clock, Monotonic, saturating_nanos};

/// The clock of the machine. Its monotonic half is tokio's, so that it stands still and jumps with a
/// paused runtime; its wall time is always the machine's.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose origin is this moment. Works outside a runtime too.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Monotonic {
        Monotonic::from_nanos(saturating_nanos(self.origin.elapsed()))
    }

    fn unix_micros(&self) -> u64 {
        // A machine whose wall clock stands before 1970 reads as 1970.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX)
    }
}
