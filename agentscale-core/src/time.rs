//! Time as it is handed to whatever decides by it.

mod call;
mod manual;
pub(crate) mod millis;
mod paused;
mod system;
mod tsc;

use std::fmt::Debug;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

pub use call::CallClock;
pub(crate) use call::CallClockKey;
pub use manual::ManualClock;
pub use paused::PausedClock;
pub use system::SystemClock;
pub use tsc::TscClock;

/// Where time comes from: one monotonic reading for intervals, one of the wall for what is stored or sent.
///
/// Callers compare monotonic readings of one clock only; two clocks may have different origins.
/// Implementors never go back, never block and are cheap: a layer may read the clock on every call.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The monotonic time since the clock's own origin.
    fn now(&self) -> Monotonic;

    /// The wall time: microseconds since the Unix epoch. It may jump in either direction.
    fn unix_micros(&self) -> u64;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Monotonic {
        (**self).now()
    }

    fn unix_micros(&self) -> u64 {
        (**self).unix_micros()
    }
}

/// A reading of a monotonic clock: nanoseconds since that clock's origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(u64);

impl Monotonic {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// A reading of so many nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this reading; zero where `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Monotonic {
    type Output = Self;

    /// Stays at the largest reading where the sum does not fit: 584 years.
    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(wait)))
    }
}

#[inline]
pub(crate) fn saturating_nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}
