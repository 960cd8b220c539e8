//! Counts of the calls of late. A call is counted without a lock; only the first of a slot takes the breaker's.

mod counts;

use std::fmt;

use super::sync::{AtomicU64, Ordering};
use super::{CircuitRates, OpenCause};
use crate::time::{Monotonic, saturating_nanos};

pub(super) use counts::Outcome;
use counts::{Counts, Word};

/// The window's tenths.
const SLOTS: usize = 10;

pub(super) struct Window {
    slots: [Slot; SLOTS],
    slot_nanos: u64,
    /// One more than the last tick with a failed or a slow call; 0 for none.
    troubled: AtomicU64,
    min_calls: u64,
    failure_millionths: u64,
    slow_millionths: u64,
    slow_nanos: u64,
}

/// Which tenth of a window since the clock's origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick(u64);

/// One tenth: which one since the clock's origin, and what was counted in it.
struct Slot {
    tick: AtomicU64,
    word: AtomicU64,
}

/// What became of a call that was to be counted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Yes,
    /// The slot still stands for an earlier time: [`Window::turn`] it and count again.
    SlotIsPast,
    /// The call belongs to a time or a cycle that is over.
    No,
}

impl Window {
    pub(super) fn new(rates: &CircuitRates) -> Self {
        let slot = |tick| Slot { tick: AtomicU64::new(tick), word: AtomicU64::new(0) };
        Self {
            slots: std::array::from_fn(|index| slot(index as u64)),
            slot_nanos: (saturating_nanos(rates.window) / SLOTS as u64).max(1),
            troubled: AtomicU64::new(0),
            min_calls: rates.min_calls.get().into(),
            failure_millionths: millionths(rates.failure_rate),
            slow_millionths: millionths(rates.slow_call_rate),
            slow_nanos: saturating_nanos(rates.slow_call),
        }
    }

    pub(super) fn outcome(&self, failed: bool, since: Monotonic, now: Monotonic) -> Outcome {
        Outcome { failed, slow: saturating_nanos(now.since(since)) >= self.slow_nanos }
    }

    pub(super) fn tick(&self, now: Monotonic) -> Tick {
        Tick(now.as_nanos() / self.slot_nanos)
    }

    /// Counts a call that ended in `tick`, where `current` says that its cycle is not over.
    pub(super) fn count(&self, outcome: Outcome, tick: Tick, current: impl Fn() -> bool) -> Counted {
        let Tick(tick) = tick;
        let slot = self.slot(tick);
        // The word is loaded before what makes it the right one: whoever changes that gives the word another
        // generation, and the exchange fails.
        let mut word = slot.word.load(Ordering::SeqCst);
        loop {
            let stands_for = slot.tick.load(Ordering::SeqCst);
            if stands_for < tick {
                return Counted::SlotIsPast;
            }
            if stands_for > tick || !current() {
                return Counted::No;
            }
            let counted = Word(word).with(outcome).0;
            match slot.word.compare_exchange_weak(word, counted, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => break,
                Err(changed) => word = changed,
            }
        }
        if outcome.is_trouble() {
            self.troubled.fetch_max(tick + 1, Ordering::SeqCst);
        }
        Counted::Yes
    }

    /// What the calls up to `tick` open the circuit for, if they do.
    #[inline]
    pub(super) fn cause(&self, Tick(tick): Tick) -> Option<OpenCause> {
        let troubled = self.troubled.load(Ordering::SeqCst);
        if troubled == 0 || troubled + SLOTS as u64 <= tick + 1 { None } else { self.cause_by_counts(tick) }
    }

    /// Makes the slot of `tick` stand for it. Under the breaker's lock.
    pub(super) fn turn(&self, Tick(tick): Tick) {
        let slot = self.slot(tick);
        if slot.tick.load(Ordering::SeqCst) < tick {
            slot.forget();
            slot.tick.store(tick, Ordering::SeqCst);
        }
    }

    /// Forgets every call. Under the breaker's lock.
    pub(super) fn clear(&self) {
        self.slots.iter().for_each(Slot::forget);
        self.troubled.store(0, Ordering::SeqCst);
    }

    fn cause_by_counts(&self, tick: u64) -> Option<OpenCause> {
        let counts = self.counts(tick);
        let reaches = |count: u64, millionths: u64| count * 1_000_000 >= millionths * counts.calls;
        if counts.calls < self.min_calls {
            None
        } else if reaches(counts.failures, self.failure_millionths) {
            Some(OpenCause::FailureRate)
        } else if reaches(counts.slow, self.slow_millionths) {
            Some(OpenCause::SlowCallRate)
        } else {
            None
        }
    }

    fn counts(&self, tick: u64) -> Counts {
        let recent = |slot: &&Slot| slot.tick.load(Ordering::SeqCst) + SLOTS as u64 > tick;
        self.slots.iter().filter(recent).map(|slot| Word(slot.word.load(Ordering::SeqCst)).counts()).sum()
    }

    fn slot(&self, tick: u64) -> &Slot {
        &self.slots[(tick % SLOTS as u64) as usize]
    }
}

impl Slot {
    fn forget(&self) {
        self.word.store(Word(self.word.load(Ordering::SeqCst)).next_generation().0, Ordering::SeqCst);
    }
}

fn millionths(rate: f64) -> u64 {
    (rate * 1e6).round().max(1.0) as u64
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").finish_non_exhaustive()
    }
}
