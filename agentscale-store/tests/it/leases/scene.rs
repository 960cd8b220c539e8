//! One lease, and a clock that is set at will.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use agentscale_core::lease::{AcquireRequest, LeaseKey};
use agentscale_core::time::{ManualClock, Monotonic};
use agentscale_core::{Clock, Tenant};

pub(crate) fn key() -> LeaseKey {
    LeaseKey::new(&Tenant::new("acme").expect("a name"), "deployment", "alpha").expect("names")
}

pub(crate) fn request(holder: &str, ttl: Duration) -> AcquireRequest {
    AcquireRequest::new(key(), holder.try_into().expect("a name"), ttl)
}

/// Its wall time moves in either direction; it has no other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stepped(Arc<AtomicI64>);

impl Stepped {
    pub(crate) fn step(&self, seconds: i64) {
        self.step_micros(seconds * 1_000_000);
    }

    pub(crate) fn step_micros(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Clock for Stepped {
    fn now(&self) -> Monotonic {
        Monotonic::ZERO
    }

    fn unix_micros(&self) -> u64 {
        ManualClock::UNIX_START.saturating_add_signed(self.0.load(Ordering::Relaxed))
    }
}
