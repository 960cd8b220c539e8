use super::{Clock, ManualClock, Monotonic, SystemClock};

/// The clock of a test on a paused tokio runtime: its wall time too stands still and jumps with the runtime's
/// timers.
///
/// [`SystemClock`] reads the machine's wall time, so a deadline an hour ahead would still be an hour ahead
/// after an hour of paused time. The wall time starts at [`ManualClock::UNIX_START`].
#[derive(Clone, Copy, Debug, Default)]
pub struct PausedClock {
    tokio: SystemClock,
}

impl PausedClock {
    /// A clock whose origin is this moment.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Monotonic {
        self.tokio.now()
    }

    fn unix_micros(&self) -> u64 {
        ManualClock::UNIX_START + self.now().as_nanos() / 1_000
    }
}
