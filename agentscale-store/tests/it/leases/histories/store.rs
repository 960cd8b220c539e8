//! The clock of the store under test, and what a faulty store does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::Clock;
use agentscale_core::time::{ManualClock, Monotonic};
use tokio::time::Instant;

use super::world::{Fault, TTL};

/// Runs at a speed of its own and steps.
#[derive(Clone, Debug)]
pub(crate) struct StoreClock {
    start: Instant,
    speed: f64,
    fault: Fault,
    stepped: Arc<AtomicI64>,
    readings: Arc<AtomicU64>,
}

impl StoreClock {
    pub(crate) fn new(speed: f64, fault: Fault) -> Self {
        Self { start: Instant::now(), speed, fault, stepped: Arc::default(), readings: Arc::default() }
    }

    pub(crate) fn step(&self, by: Duration, back: bool) {
        let micros = i64::try_from(by.as_micros()).expect("it is short");
        self.stepped.fetch_add(if back { -micros } else { micros }, Ordering::Relaxed);
    }

    /// What the clock says, without a fault.
    pub(crate) fn truth(&self) -> u64 {
        let passed = self.start.elapsed().mul_f64(self.speed).as_micros();
        let passed = i64::try_from(passed).expect("it is short") + self.stepped.load(Ordering::Relaxed);
        ManualClock::UNIX_START.saturating_add_signed(passed)
    }
}

impl Clock for StoreClock {
    fn now(&self) -> Monotonic {
        Monotonic::ZERO
    }

    fn unix_micros(&self) -> u64 {
        let hurries =
            self.fault == Fault::EndsEarly && self.readings.fetch_add(1, Ordering::Relaxed) % 4 == 3;
        let ahead = if hurries { TTL } else { Duration::ZERO };
        self.truth() + u64::try_from(ahead.as_micros()).expect("it is short")
    }
}
