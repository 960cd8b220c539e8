use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::state::{Machine, Ticket};
use super::summary::Summary;
use super::sync::{AtomicU64, Mutex, MutexGuard, Ordering};
use super::window::{Counted, Window};
use super::{CircuitBreakerConfig, CircuitState, CircuitTrip, OpenCause, Opened};
use crate::time::{Clock, Monotonic};
use crate::{Error, ErrorKind, Result};

/// The machine behind its lock, and in front of it what spares calls the lock.
pub(super) struct Shared {
    component: Cow<'static, str>,
    config: CircuitBreakerConfig,
    clock: Arc<dyn Clock>,
    on_open: Option<OnOpen>,
    machine: Mutex<Machine>,
    /// What the calls that change nothing need to know of the machine; written under its lock.
    summary: AtomicU64,
    /// Where rates open the circuit.
    window: Option<Window>,
}

pub(super) type OnOpen = Box<dyn Fn(&Opened) + Send + Sync>;

impl Shared {
    pub(super) fn new(
        component: Cow<'static, str>,
        config: CircuitBreakerConfig,
        clock: Arc<dyn Clock>,
        on_open: Option<OnOpen>,
    ) -> Self {
        let machine = Machine::new(config.open_for, config.max_half_open);
        let summary = AtomicU64::new(Summary::of(&machine).word());
        let window = match &config.trip {
            CircuitTrip::ConsecutiveFailures(_) => None,
            CircuitTrip::Rates(rates) => Some(Window::new(rates)),
        };
        Self { component, config, clock, on_open, machine: Mutex::new(machine), summary, window }
    }

    /// One like this at its beginning.
    pub(super) fn anew(&self, on_open: OnOpen) -> Self {
        Self::new(self.component.clone(), self.config.clone(), self.clock.clone(), Some(on_open))
    }

    #[inline]
    pub(super) fn acquire(&self) -> Result<Ticket> {
        match self.summary().passing() {
            Some(cycle) => {
                let since = if self.window.is_some() { self.clock.now() } else { Monotonic::ZERO };
                Ok(Ticket { cycle, probe: false, since })
            }
            None => self.acquire_under_lock(),
        }
    }

    #[inline]
    pub(super) fn refusal(&self) -> Option<Error> {
        if self.summary().passing().is_some() { None } else { self.refusal_under_lock() }
    }

    pub(super) fn state(&self) -> CircuitState {
        self.lock().state()
    }

    #[inline]
    pub(super) fn succeed(&self, ticket: Ticket) {
        if self.window.is_some() {
            self.record(ticket, false);
        } else if !self.summary().is_calm(ticket.cycle) {
            self.change(|machine| machine.succeed(ticket));
        }
    }

    pub(super) fn fail(&self, ticket: Ticket) {
        match &self.config.trip {
            CircuitTrip::Rates(_) => self.record(ticket, true),
            CircuitTrip::ConsecutiveFailures(trip) => {
                let now = self.clock.now();
                let cause = self.change(|machine| machine.fail(ticket, now, trip));
                self.tell(cause);
            }
        }
    }

    pub(super) fn cancel(&self, ticket: Ticket) {
        if ticket.probe {
            self.change(|machine| machine.cancel(ticket));
        }
    }

    pub(super) fn force_open(&self) {
        self.change(|machine| machine.force_open());
        self.tell(Some(OpenCause::Forced));
    }

    /// Changes the machine under its lock, and what is derived from it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Machine) -> T) -> T {
        let mut machine = self.lock();
        let before = machine.cycle();
        let result = change(&mut machine);
        if let Some(window) = &self.window
            && machine.cycle() != before
        {
            // No call is counted for the cycle that is over after its counts are gone.
            self.summary.store(Summary::NOTHING.word(), Ordering::SeqCst);
            window.clear();
        }
        self.summary.store(Summary::of(&machine).word(), Ordering::SeqCst);
        result
    }
}

impl Shared {
    /// The result of a call where rates open the circuit.
    fn record(&self, ticket: Ticket, failed: bool) {
        let Some(window) = &self.window else { return };
        let now = self.clock.now();
        let outcome = window.outcome(failed, ticket.since, now);
        if ticket.probe {
            let cause = self.change(|machine| {
                if outcome.is_trouble() {
                    machine.open(ticket, now, OpenCause::Probe)
                } else {
                    machine.succeed(ticket);
                    None
                }
            });
            return self.tell(cause);
        }
        let current = || self.summary().records(ticket.cycle);
        let tick = window.tick(now);
        while window.count(outcome, tick, current) == Counted::SlotIsPast {
            let _machine = self.lock();
            window.turn(tick);
        }
        if let Some(cause) = window.cause(tick) {
            let cause = self.change(|machine| machine.open(ticket, now, cause));
            self.tell(cause);
        }
    }

    #[cold]
    fn acquire_under_lock(&self) -> Result<Ticket> {
        let now = self.clock.now();
        let (ticket, state) = self.change(|machine| (machine.acquire(now), machine.state()));
        ticket.ok_or_else(|| self.refused(state, now))
    }

    #[cold]
    fn refusal_under_lock(&self) -> Option<Error> {
        let now = self.clock.now();
        let machine = self.lock();
        (!machine.admits(now)).then(|| self.refused(machine.state(), now))
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        // No event panics half-way, so a poisoned machine is a whole one.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn summary(&self) -> Summary {
        Summary::from_word(self.summary.load(Ordering::SeqCst))
    }

    fn refused(&self, state: CircuitState, now: Monotonic) -> Error {
        let error = Error::new(ErrorKind::CircuitOpen, "pass the circuit breaker")
            .with_context("component", &self.component);
        match state {
            CircuitState::Open { until } => error.with_retry_after(until.since(now)),
            _ => error,
        }
    }

    fn tell(&self, cause: Option<OpenCause>) {
        let Some(cause) = cause else { return };
        let component = &self.component;
        let open_for = if cause == OpenCause::Forced { Duration::MAX } else { self.config.open_for };
        tracing::warn!(%component, ?open_for, cause = cause.as_str(), "circuit opened");
        if let Some(hook) = &self.on_open {
            hook(&Opened { component: component.clone(), open_for, cause });
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
