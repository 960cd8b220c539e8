use std::borrow::Cow;
use std::sync::Arc;

use super::permit::Held;
use super::shared::Shared;
use super::{CircuitBreakerConfig, CircuitState, Opened, Permit};
use crate::time::Clock;
use crate::{Error, Result};

/// A circuit breaker shared by its clones.
///
/// Closed, it lets calls through; failures, or calls that are too slow, open it; after a while it is half open
/// and lets one probe through, whose result closes it or opens it again. While nothing fails, consecutive
/// failures cost a call two atomic reads and no look at the clock; rates cost an atomic write and two looks.
///
/// ```
/// use std::sync::Arc;
/// use agentscale_core::layers::{CircuitBreaker, CircuitBreakerConfig, CircuitState};
/// use agentscale_core::time::ManualClock;
/// use agentscale_core::ErrorKind;
///
/// let clock = ManualClock::new();
/// let config = CircuitBreakerConfig::default();
/// let breaker = CircuitBreaker::new("llm", config.clone(), Arc::new(clock.clone()))?;
/// for _ in 0..5 {
///     breaker.try_acquire()?.failure();
/// }
/// let refusal = breaker.try_acquire().unwrap_err();
/// assert_eq!(refusal.kind(), ErrorKind::CircuitOpen);
/// assert_eq!(refusal.retry_after(), Some(config.open_for));
///
/// clock.advance(config.open_for);
/// breaker.try_acquire()?.success();
/// assert_eq!(breaker.state(), CircuitState::Closed);
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    shared: Arc<Shared>,
}

impl CircuitBreaker {
    /// A closed breaker for calls to `component`, a short name for errors and events.
    ///
    /// # Errors
    ///
    /// `invalid_input` with the `field` of a time that is zero or a rate that is no share.
    pub fn new(
        component: impl Into<Cow<'static, str>>,
        config: CircuitBreakerConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let shared = Shared::new(component.into(), config.checked()?, clock, None);
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A closed breaker like this one that calls `hook` at each opening, in the call that failed: it must not
    /// block. Telling an [`Observer`](crate::observe::Observer) does not:
    ///
    /// ```
    /// use std::sync::Arc;
    /// use agentscale_core::layers::{CircuitBreaker, CircuitBreakerConfig};
    /// use agentscale_core::observe::{Observation, ObservationBuffer, ObservationLevel, Observer};
    /// use agentscale_core::time::{Clock, ManualClock};
    /// use agentscale_core::{Error, ErrorKind, HybridClock};
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let stamps = HybridClock::new(1);
    /// let seen = Arc::new(ObservationBuffer::new(16));
    /// let (observer, wall) = (seen.clone(), clock.clone());
    /// let breaker = CircuitBreaker::new("models", CircuitBreakerConfig::default(), clock)?;
    /// let breaker = breaker.with_on_open(move |opened| {
    ///     let stamp = stamps.stamp(wall.unix_micros());
    ///     let alert = Observation::new(ObservationLevel::Error, "circuit.opened", stamp);
    ///     observer.emit(alert.with_field("component", opened.component.to_string()));
    /// });
    /// for _ in 0..5 {
    ///     breaker.try_acquire()?.failure();
    /// }
    /// assert_eq!(breaker.try_acquire().unwrap_err().kind(), ErrorKind::CircuitOpen);
    /// assert_eq!(seen.drain(16).observations[0].name, "circuit.opened");
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn with_on_open(self, hook: impl Fn(&Opened) + Send + Sync + 'static) -> Self {
        Self { shared: Arc::new(self.shared.anew(Box::new(hook))) }
    }

    /// Lets a call through or refuses it. The permit takes the call's result.
    ///
    /// # Errors
    ///
    /// `circuit_open`, with the time until the next probe; without it while a probe is under way, and while the
    /// circuit is forced open.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit> {
        let ticket = self.shared.acquire()?;
        Ok(Permit::new(Arc::clone(&self.shared), ticket))
    }

    /// Makes a call that waits for nothing and records its result, as [`Permit::record`] does. If it panics, it counts
    /// as cancelled.
    ///
    /// # Errors
    ///
    /// Those of [`try_acquire`](Self::try_acquire), and those of the call.
    #[inline]
    pub fn call<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        let held = Held::new(&*self.shared, self.shared.acquire()?);
        let result = call();
        held.record(result.as_ref().map(|_| ()));
        result
    }

    /// The error with which a call would be refused now. Takes no permit and changes nothing.
    #[inline]
    pub fn refusal(&self) -> Option<Error> {
        self.shared.refusal()
    }

    /// The state after the last event. An open circuit becomes half open when a probe is let through.
    pub fn state(&self) -> CircuitState {
        self.shared.state()
    }

    /// Refuses every call until [`reset`](Self::reset) or [`force_closed`](Self::force_closed). It is an opening like
    /// others: the hook is called.
    pub fn force_open(&self) {
        self.shared.force_open();
    }

    /// Lets every call through and records nothing until [`reset`](Self::reset) or [`force_open`](Self::force_open).
    pub fn force_closed(&self) {
        self.shared.change(|machine| machine.force_closed());
    }

    /// Closes the circuit, whatever it was, with nothing recorded. Calls under way record nothing.
    pub fn reset(&self) {
        self.shared.change(|machine| machine.reset());
    }
}
