use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Clock, Monotonic};

/// A clock that the layers of one stack share, so that a call reads the time once where it enters and once
/// where it ends.
///
/// [`CallClockLayer`](crate::layers::CallClockLayer) stands outermost and holds the clock still while it calls or
/// polls what is inside: the first reading goes to the clock beneath, those after it repeat its answer. Elsewhere
/// each reading goes to the clock beneath. Clones are the same clock.
///
/// It is for layers. Code that measures its own steps within one poll reads the clock beneath.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use agentscale_core::time::{CallClock, Clock, ManualClock};
///
/// let beneath = ManualClock::new();
/// let clock = CallClock::new(Arc::new(beneath.clone()));
/// clock.hold(|| {
///     let entered = clock.now();
///     beneath.advance(Duration::from_secs(1));
///     assert_eq!(clock.now(), entered);
///     CallClock::renew();
///     assert_eq!(clock.now().since(entered), Duration::from_secs(1));
/// });
/// ```
#[derive(Clone, Debug)]
pub struct CallClock {
    beneath: Arc<dyn Clock>,
    key: CallClockKey,
}

/// Tells the clocks of a process apart; it can hold its clock without keeping it alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallClockKey(u64);

/// What is held on this thread: the innermost hold and its reading. Two words, each written and read as one.
struct Held {
    key: Cell<u64>,
    reading: Cell<u64>,
}

/// No clock gets as far.
const NO_READING: u64 = u64::MAX;

thread_local! {
    static HELD: Held = const { Held { key: Cell::new(0), reading: Cell::new(NO_READING) } };
}

impl CallClock {
    /// A clock that reads `beneath`.
    pub fn new(beneath: Arc<dyn Clock>) -> Self {
        Self { beneath, key: CallClockKey::next() }
    }

    /// Runs `step`, within which this thread reads the clock at most once. A hold within a hold has a reading of
    /// its own; of several clocks only the one that was held last stands still.
    #[inline]
    pub fn hold<T>(&self, step: impl FnOnce() -> T) -> T {
        self.key.hold(step)
    }

    /// Forgets the reading that is held on this thread, whichever clock's it is. For a layer that begins or ends
    /// more than one attempt within one poll, such as [`Retry`](crate::layers::Retry): it forgets before each new
    /// attempt and again before it polls that attempt.
    #[inline]
    pub fn renew() {
        HELD.with(|held| held.reading.set(NO_READING));
    }

    pub(crate) fn key(&self) -> CallClockKey {
        self.key
    }
}

impl Clock for CallClock {
    fn now(&self) -> Monotonic {
        let (key, reading) = HELD.with(|held| (held.key.get(), held.reading.get()));
        if key != self.key.0 {
            return self.beneath.now();
        }
        if reading != NO_READING {
            return Monotonic::from_nanos(reading);
        }
        let now = self.beneath.now();
        HELD.with(|held| held.reading.set(now.as_nanos()));
        now
    }

    fn unix_micros(&self) -> u64 {
        self.beneath.unix_micros()
    }
}

impl CallClockKey {
    fn next() -> Self {
        /// 0 is held by nobody.
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }

    #[inline]
    pub(crate) fn hold<T>(self, step: impl FnOnce() -> T) -> T {
        let _outer = HELD
            .with(|held| Outer { key: held.key.replace(self.0), reading: held.reading.replace(NO_READING) });
        step()
    }
}

/// What was held outside of a hold; it comes back when the hold ends, by a panic too.
struct Outer {
    key: u64,
    reading: u64,
}

impl Drop for Outer {
    #[inline]
    fn drop(&mut self) {
        HELD.with(|held| {
            held.key.set(self.key);
            held.reading.set(self.reading);
        });
    }
}
