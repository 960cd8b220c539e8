use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use super::latency::Latency;
use super::{HedgeConfig, HedgeTrigger};
use crate::Result;
use crate::time::{Clock, Monotonic, saturating_nanos};

/// When a call may be made a second time, shared by its clones.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use agentscale_core::layers::{Hedge, HedgeConfig, HedgeTrigger};
/// use agentscale_core::time::ManualClock;
///
/// let delay = Duration::from_millis(300);
/// let config = HedgeConfig { trigger: HedgeTrigger::Fixed { delay }, ..HedgeConfig::default() };
/// let hedge = Hedge::new(&config, Arc::new(ManualClock::new()))?;
/// for _ in 0..20 {
///     let started = hedge.begin();
///     assert_eq!(hedge.delay(), Some(delay)); // a call that has no answer by then asks whether it may go again
///     hedge.answered(started);
/// }
/// assert!(hedge.try_hedge());
/// assert!(!hedge.try_hedge(), "5 % of 20 calls is one");
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hedge {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: HedgeConfig,
    clock: Arc<dyn Clock>,
    calls: AtomicU64,
    /// Calls that were made a second time, or could have been too long ago.
    hedged: AtomicU64,
    /// Nanoseconds; `NEVER` while too little is known.
    delay: AtomicU64,
    /// The number of the call that looks at the answers next.
    look_at: AtomicU64,
    latency: Latency,
    window: Mutex<Window>,
}

/// The present half of the window.
#[derive(Debug)]
struct Window {
    since: Monotonic,
    calls_before: u64,
    calls_before_that: u64,
}

const NEVER: u64 = u64::MAX;

/// Looking at the answers takes some microseconds, so that the calls between two looks are not fewer than this.
const FEWEST_CALLS: u64 = 32;

impl Hedge {
    /// A hedge that knows no answers.
    ///
    /// # Errors
    ///
    /// `invalid_input`, with the field that is zero or beyond its bounds as context.
    pub fn new(config: &HedgeConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.check()?;
        let delay = match config.trigger {
            HedgeTrigger::Fixed { delay } => saturating_nanos(delay),
            HedgeTrigger::Percentile { .. } => NEVER,
        };
        let shared = Shared {
            config: config.clone(),
            calls: AtomicU64::new(0),
            hedged: AtomicU64::new(0),
            delay: AtomicU64::new(delay),
            look_at: AtomicU64::new(FEWEST_CALLS),
            latency: Latency::new(),
            window: Mutex::new(Window { since: clock.now(), calls_before: 0, calls_before_that: 0 }),
            clock,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A call that may be made twice begins. The reading goes to [`Hedge::answered`].
    #[inline]
    pub fn begin(&self) -> Monotonic {
        let now = self.shared.clock.now();
        // Of calls that begin at the same moment one may not be counted: the budget is then smaller, never larger, and no
        // call pays for an exact count.
        let call = self.shared.calls.load(Ordering::Relaxed) + 1;
        self.shared.calls.store(call, Ordering::Relaxed);
        if call >= self.shared.look_at.load(Ordering::Relaxed) {
            self.look_at_answers(now, call);
        }
        now
    }

    /// A call that began at `started` has its answer, whichever of two gave it. Errors and dropped calls are not told.
    #[inline]
    pub fn answered(&self, started: Monotonic) {
        if matches!(self.shared.config.trigger, HedgeTrigger::Percentile { .. }) {
            self.shared.latency.record(self.shared.clock.now().since(started));
        }
    }

    /// How long after its start a call asks to be made a second time; `None` while too few answers are known.
    pub fn delay(&self) -> Option<Duration> {
        let nanos = self.shared.delay.load(Ordering::Relaxed);
        (nanos != NEVER).then(|| Duration::from_nanos(nanos))
    }

    /// Takes one second call out of the budget, if there is one.
    pub fn try_hedge(&self) -> bool {
        let earned = self.earned(self.shared.calls.load(Ordering::Relaxed));
        let more = |hedged: u64| (hedged < earned).then_some(hedged + 1);
        self.shared.hedged.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn earned(&self, calls: u64) -> u64 {
        calls / 100 * u64::from(self.shared.config.budget_percent)
            + calls % 100 * u64::from(self.shared.config.budget_percent) / 100
    }

    #[cold]
    fn look_at_answers(&self, now: Monotonic, call: u64) {
        let Some(mut window) = self.window() else {
            return;
        };
        let half = self.shared.config.window / 2;
        let passed = now.since(window.since);
        if passed >= half {
            if passed >= half * 2 {
                self.shared.latency.forget();
            } else {
                self.shared.latency.turn();
            }
            self.shared.hedged.fetch_max(self.earned(window.calls_before_that), Ordering::Relaxed);
            *window = Window { since: now, calls_before: call, calls_before_that: window.calls_before };
        }
        if let HedgeTrigger::Percentile { percent, min_samples } = self.shared.config.trigger {
            let delay = self.shared.latency.percentile(percent, min_samples);
            self.shared.delay.store(delay.map_or(NEVER, saturating_nanos), Ordering::Relaxed);
        }
        let recent = call.saturating_sub(window.calls_before_that);
        self.shared.look_at.store(call + (recent / 8).max(FEWEST_CALLS), Ordering::Relaxed);
    }

    /// Whoever finds the lock taken goes on: another call looks already.
    fn window(&self) -> Option<MutexGuard<'_, Window>> {
        match self.shared.window.try_lock() {
            Ok(window) => Some(window),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
