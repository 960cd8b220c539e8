use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::state::{Machine, Ticket};
use super::summary::Summary;
use super::{CircuitBreakerConfig, CircuitState, Permit};
use crate::time::Clock;
use crate::{Error, ErrorKind, Result};

/// A circuit breaker shared by its clones.
///
/// Closed, it lets calls through; consecutive failures open it; after a while it is half open and lets one
/// probe through at a time, whose result closes it or opens it again. While it is closed and nothing fails, a
/// call costs two atomic reads and no look at the clock.
///
/// ```
/// use std::sync::Arc;
/// use agentscale_core::layers::{CircuitBreaker, CircuitBreakerConfig, CircuitState};
/// use agentscale_core::time::ManualClock;
/// use agentscale_core::ErrorKind;
///
/// let clock = ManualClock::new();
/// let config = CircuitBreakerConfig::default();
/// let breaker = CircuitBreaker::new("llm", config.clone(), Arc::new(clock.clone()));
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

/// A circuit has opened: told to the hook of [`CircuitBreaker::with_on_open`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// The component that the breaker was named for.
    pub component: Cow<'static, str>,
    /// How long calls are refused from now on.
    pub open_for: Duration,
    /// Whether it was a probe that failed: the circuit was open before.
    pub again: bool,
}

struct Shared {
    component: Cow<'static, str>,
    config: CircuitBreakerConfig,
    clock: Arc<dyn Clock>,
    on_open: Option<OnOpen>,
    machine: Mutex<Machine>,
    /// What the calls that change nothing need to know of the machine; written under its lock.
    summary: AtomicU64,
}

type OnOpen = Box<dyn Fn(&Opened) + Send + Sync>;

impl CircuitBreaker {
    /// A closed breaker for calls to `component`, a short name for errors and events.
    pub fn new(
        component: impl Into<Cow<'static, str>>,
        config: CircuitBreakerConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::build(component.into(), config, clock, None)
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
    /// let breaker = CircuitBreaker::new("models", CircuitBreakerConfig::default(), clock).with_on_open(move |opened| {
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
        let Shared { component, config, clock, .. } = &*self.shared;
        Self::build(component.clone(), config.clone(), clock.clone(), Some(Box::new(hook)))
    }

    /// Lets a call through or refuses it. The permit takes the call's result.
    ///
    /// # Errors
    ///
    /// `circuit_open`, with the time until the next probe; without it while a probe is under way.
    pub fn try_acquire(&self) -> Result<Permit> {
        if let Some(cycle) = self.summary().closed_cycle() {
            return Ok(Permit::new(self.clone(), Ticket { cycle, probe: false }));
        }
        let now = self.shared.clock.now();
        let mut machine = self.lock();
        match machine.acquire(now) {
            Some(ticket) => {
                self.publish(&machine);
                Ok(Permit::new(self.clone(), ticket))
            }
            None => Err(self.refused(machine.state())),
        }
    }

    /// The error with which a call would be refused now. Takes no permit and changes nothing.
    pub fn refusal(&self) -> Option<Error> {
        if self.summary().closed_cycle().is_some() {
            return None;
        }
        let now = self.shared.clock.now();
        let machine = self.lock();
        (!machine.admits(now)).then(|| self.refused(machine.state()))
    }

    /// The state after the last event. An open circuit becomes half open when a probe is let through.
    pub fn state(&self) -> CircuitState {
        self.lock().state()
    }

    pub(super) fn succeed(&self, ticket: Ticket) {
        if self.summary() != Summary::calm(ticket.cycle) {
            let mut machine = self.lock();
            machine.succeed(ticket);
            self.publish(&machine);
        }
    }

    pub(super) fn fail(&self, ticket: Ticket) {
        let now = self.shared.clock.now();
        let opened = {
            let mut machine = self.lock();
            let opened = machine.fail(ticket, now, &self.shared.config);
            self.publish(&machine);
            opened
        };
        if opened {
            self.tell_opened(ticket.probe);
        }
    }

    pub(super) fn cancel(&self, ticket: Ticket) {
        if ticket.probe {
            self.lock().cancel(ticket);
        }
    }
}

impl CircuitBreaker {
    fn build(
        component: Cow<'static, str>,
        config: CircuitBreakerConfig,
        clock: Arc<dyn Clock>,
        on_open: Option<OnOpen>,
    ) -> Self {
        let machine = Machine::new();
        let summary = AtomicU64::new(Summary::of(&machine).word());
        let machine = Mutex::new(machine);
        Self { shared: Arc::new(Shared { component, config, clock, on_open, machine, summary }) }
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        // No event panics half-way, so a poisoned machine is a whole one.
        self.shared.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn summary(&self) -> Summary {
        Summary::from_word(self.shared.summary.load(Ordering::Acquire))
    }

    fn publish(&self, machine: &Machine) {
        self.shared.summary.store(Summary::of(machine).word(), Ordering::Release);
    }

    fn refused(&self, state: CircuitState) -> Error {
        let error = Error::new(ErrorKind::CircuitOpen, "pass the circuit breaker")
            .with_context("component", &self.shared.component);
        match state {
            CircuitState::Open { until } => error.with_retry_after(until.since(self.shared.clock.now())),
            CircuitState::Closed | CircuitState::HalfOpen => error,
        }
    }

    fn tell_opened(&self, again: bool) {
        let Shared { component, config, on_open, .. } = &*self.shared;
        let open_for = config.open_for;
        tracing::warn!(%component, ?open_for, again, "circuit opened");
        if let Some(hook) = on_open {
            hook(&Opened { component: component.clone(), open_for, again });
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("component", &self.component)
            .field("config", &self.config)
            .field("machine", &self.machine)
            .finish_non_exhaustive()
    }
}
