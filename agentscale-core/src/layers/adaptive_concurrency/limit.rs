use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::machine::{Machine, Sample};
use super::{AdaptiveConcurrencyConfig, ConcurrencyAlgorithm, ConcurrencyPermit};
use crate::time::Clock;
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
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    config: AdaptiveConcurrencyConfig,
    clock: Arc<dyn Clock>,
    in_flight: AtomicU32,
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
            in_flight: AtomicU32::new(0),
            limit: AtomicU32::new(config.initial),
            calm: AtomicBool::new(true),
            machine: Mutex::new(Machine::new(config)),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Lets a call through or refuses it. The permit takes the call's result.
    ///
    /// # Errors
    ///
    /// `overloaded` where as many calls are in flight as the limit allows now.
    pub fn try_acquire(&self) -> Result<ConcurrencyPermit> {
        let limit = self.limit();
        let more = |in_flight| (in_flight < limit).then_some(in_flight + 1);
        match self.shared.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(others) => {
                Ok(ConcurrencyPermit::new(self.shared.clone(), self.shared.clock.now(), others + 1))
            }
            Err(_) => Err(Error::new(ErrorKind::Overloaded, "stay within the adaptive limit")),
        }
    }

    /// How many calls may be in flight now. More may be, for a while after it fell.
    pub fn limit(&self) -> u32 {
        self.shared.limit.load(Ordering::Relaxed)
    }

    /// How many permits are out.
    pub fn in_flight(&self) -> u32 {
        self.shared.in_flight.load(Ordering::Relaxed)
    }
}

impl Shared {
    pub(super) fn record(&self, permit: &ConcurrencyPermit, dropped: bool) {
        let now = self.clock.now();
        let started = permit.started();
        let sample = Sample { started, took: now.since(started), in_flight: permit.in_flight(), dropped };
        if self.says_nothing(sample) {
            return;
        }
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        self.limit.store(machine.record(sample, now), Ordering::Relaxed);
        self.calm.store(machine.is_calm(), Ordering::Relaxed);
    }

    pub(super) fn release(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Spares the lock for what additive increase ignores: a good answer while the limit is not pressed and
    /// nothing is to be forgiven.
    fn says_nothing(&self, sample: Sample) -> bool {
        let pressed = sample.in_flight.saturating_mul(2) >= self.limit.load(Ordering::Relaxed);
        let good = !sample.dropped && sample.took <= self.config.slow_after;
        let ignored = good && !pressed && self.calm.load(Ordering::Relaxed);
        ignored && self.config.algorithm == ConcurrencyAlgorithm::Aimd
    }
}
