use std::fmt;

use super::{Clock, Monotonic, SystemClock};

/// The processor's own counter: a reading costs about a third of what the machine's clock takes.
///
/// The first one in a process measures the counter against the machine's clock, which takes up to 200 ms; from then on
/// the two may drift apart by some millionths. Where the processor has no steady counter, the machine's clock is read.
/// It stands still on no paused runtime: a test uses another clock. The wall time is the machine's.
#[derive(Clone)]
pub struct TscClock {
    counter: quanta::Clock,
    origin: u64,
    wall: SystemClock,
}

impl TscClock {
    /// A clock whose origin is this moment.
    pub fn new() -> Self {
        let counter = quanta::Clock::new();
        Self { origin: counter.raw(), counter, wall: SystemClock::new() }
    }
}

impl Default for TscClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TscClock {
    fn now(&self) -> Monotonic {
        Monotonic::from_nanos(self.counter.delta_as_nanos(self.origin, self.counter.raw()))
    }

    fn unix_micros(&self) -> u64 {
        self.wall.unix_micros()
    }
}

impl fmt::Debug for TscClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TscClock").finish_non_exhaustive()
    }
}
