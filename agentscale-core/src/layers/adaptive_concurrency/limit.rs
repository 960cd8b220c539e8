use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::machine::{Machine, Sample};
use super::{AdaptiveConcurrencyConfig, ConcurrencyAlgorithm, ConcurrencyPermit};
use crate::time::{Clock, Monotonic};
use crate::{Error, ErrorKind, Result};

/// A limit of calls in flight that follows what the other side bears, shared by its clones.
///
/// ```
/// use std::sync::Arc;
/// use agentscale_core::layers::{AdaptiveConcurrency, AdaptiveConcurrencyConfig};
/// use agentscale_core::time::SystemClock;
///
/// let config = AdaptiveConcurrencyConfig { initial: 10, ..AdaptiveConcurrencyConfig::default() };
/// let limit = AdaptiveConcurrency::new(&config, Arc::new(SystemClock::new()))?;
/// limit.try_acquire()?.dropped(); // may have been chance
/// limit.try_acquire()?.dropped();
/// assert_eq!(limit.limit(), 9);
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveConcurrency {
    places: Arc<Places>,
}

/// Each permit is a pointer to the state, and there is only this one beside them: the count of pointers is that of the
/// calls in flight, so that a call pays for one count instead of two.
#[derive(Debug)]
struct Places(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    config: AdaptiveConcurrencyConfig,
    clock: Arc<dyn Clock>,
    /// What the machine said last; written under its lock.
    limit: AtomicU32,
    /// Whether the machine has no sign of overload to forgive; written under its lock.
    calm: AtomicBool,
    machine: Mutex<Machine>,
}

impl AdaptiveConcurrency {
    /// A limit that has learnt nothing.
    ///
    /// # Errors
    ///
    /// `invalid_input`, with the field that is zero or beyond its bounds as context.
    pub fn new(config: &AdaptiveConcurrencyConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.check()?;
        let shared = Shared {
            config: config.clone(),
            clock,
            limit: AtomicU32::new(config.initial),
            calm: AtomicBool::new(true),
            machine: Mutex::new(Machine::new(config)),
        };
        Ok(Self { places: Arc::new(Places(Arc::new(shared))) })
    }

    /// Lets a call through or refuses it. The permit takes the call's result.
    ///
    /// # Errors
    ///
    /// `overloaded` where as many calls are in flight as the limit allows now.
    #[inline]
    pub fn try_acquire(&self) -> Result<ConcurrencyPermit> {
        let shared = Arc::clone(&self.places.0);
        // Taken first and counted then, so that two calls cannot both take the last place.
        let in_flight = self.in_flight();
        if in_flight <= self.limit() {
            let now = shared.clock.now();
            return Ok(ConcurrencyPermit::new(shared, now, in_flight));
        }
        Err(full())
    }

    /// How many calls may be in flight now. More may be, for a while after it fell.
    #[inline]
    pub fn limit(&self) -> u32 {
        self.places.0.limit.load(Ordering::Relaxed)
    }

    /// How many permits are out, with those that are being refused at this moment.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        u32::try_from(Arc::strong_count(&self.places.0) - 1).unwrap_or(u32::MAX)
    }
}

impl Shared {
    #[inline]
    pub(super) fn record(&self, permit: &ConcurrencyPermit, dropped: bool) {
        let now = self.clock.now();
        let started = permit.started();
        let sample = Sample { started, took: now.since(started), in_flight: permit.in_flight(), dropped };
        if !self.says_nothing(sample) {
            self.learn(sample, now);
        }
    }

    fn learn(&self, sample: Sample, now: Monotonic) {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        self.limit.store(machine.record(sample, now), Ordering::Relaxed);
        self.calm.store(machine.is_calm(), Ordering::Relaxed);
    }

    /// Spares the lock for what additive increase ignores: a good answer while the limit is not pressed and
    /// nothing is to be forgiven.
    #[inline]
    fn says_nothing(&self, sample: Sample) -> bool {
        let pressed = sample.in_flight.saturating_mul(2) >= self.limit.load(Ordering::Relaxed);
        let good = !sample.dropped && sample.took <= self.config.slow_after;
        let ignored = good && !pressed && self.calm.load(Ordering::Relaxed);
        ignored && self.config.algorithm == ConcurrencyAlgorithm::Aimd
    }
}

#[cold]
fn full() -> Error {
    Error::new(ErrorKind::Overloaded, "stay within the adaptive limit")
}
