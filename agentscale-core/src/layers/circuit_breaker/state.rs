//! The machine: a state, an event and the time give the next state. No lock, no clock, no call.

use std::collections::VecDeque;
use std::time::Duration;

use super::{ConsecutiveFailures, OpenCause};
use crate::time::Monotonic;

/// What a circuit breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitState {
    /// Lets them through.
    Closed,
    /// Refuses them until `until`, a reading of the breaker's clock.
    Open {
        /// The first moment at which a probe may go through.
        until: Monotonic,
    },
    /// Lets one through, the probe: its success closes the circuit, its failure opens it again.
    HalfOpen,
    /// Refuses them until somebody says otherwise.
    ForcedOpen,
    /// Lets them through and records nothing until somebody says otherwise.
    ForcedClosed,
}

/// What an admitted call carries back: results of another cycle than the current one are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) cycle: u64,
    pub(super) probe: bool,
    /// When it was let through, where the breaker wants to know how long it took.
    pub(super) since: Monotonic,
}

#[derive(Debug)]
pub(super) struct Machine {
    phase: Phase,
    /// Counts the changes of phase.
    cycle: u64,
    open_for: Duration,
    max_half_open: Duration,
}

#[derive(Debug)]
enum Phase {
    /// The failures since the last success, oldest first; at most as many as open the circuit.
    Closed {
        failures: VecDeque<Monotonic>,
    },
    Open {
        until: Monotonic,
    },
    /// Since when the probe is out.
    HalfOpen {
        probe: Option<Monotonic>,
    },
    ForcedOpen,
    ForcedClosed,
}

impl Machine {
    pub(super) fn new(open_for: Duration, max_half_open: Duration) -> Self {
        Self { phase: Phase::closed(), cycle: 0, open_for, max_half_open }
    }

    /// A ticket for a call at `now`, or `None` for a refusal.
    pub(super) fn acquire(&mut self, now: Monotonic) -> Option<Ticket> {
        if !self.admits(now) {
            return None;
        }
        match self.phase {
            // A probe that was given up belongs to the cycle before.
            Phase::Open { .. } | Phase::HalfOpen { probe: Some(_) } => {
                self.enter(Phase::HalfOpen { probe: Some(now) })
            }
            Phase::HalfOpen { probe: None } => self.phase = Phase::HalfOpen { probe: Some(now) },
            Phase::Closed { .. } | Phase::ForcedClosed | Phase::ForcedOpen => {}
        }
        let probe = matches!(self.phase, Phase::HalfOpen { .. });
        Some(Ticket { cycle: self.cycle, probe, since: now })
    }

    /// Whether [`Machine::acquire`] would give a ticket; changes nothing.
    pub(super) fn admits(&self, now: Monotonic) -> bool {
        match self.phase {
            Phase::Closed { .. } | Phase::ForcedClosed => true,
            Phase::Open { until } => until <= now,
            Phase::HalfOpen { probe } => probe.is_none_or(|since| now.since(since) >= self.max_half_open),
            Phase::ForcedOpen => false,
        }
    }

    pub(super) fn succeed(&mut self, ticket: Ticket) {
        if ticket.cycle != self.cycle {
            return;
        }
        match &mut self.phase {
            Phase::Closed { failures } => failures.clear(),
            Phase::HalfOpen { .. } => self.enter(Phase::closed()),
            Phase::Open { .. } | Phase::ForcedOpen | Phase::ForcedClosed => {}
        }
    }

    /// What this failure opened the circuit for, if it did. In a closed circuit it is one in a row.
    pub(super) fn fail(
        &mut self,
        ticket: Ticket,
        now: Monotonic,
        trip: &ConsecutiveFailures,
    ) -> Option<OpenCause> {
        if ticket.cycle == self.cycle
            && let Phase::Closed { failures } = &mut self.phase
        {
            while failures.front().is_some_and(|at| now.since(*at) > trip.within) {
                failures.pop_front();
            }
            failures.push_back(now);
            if failures.len() < usize::from(trip.failures.get()) {
                return None;
            }
        }
        self.open(ticket, now, OpenCause::ConsecutiveFailures)
    }

    /// Opens for `cause`, or because the ticket's probe said so; ignores results of other cycles.
    pub(super) fn open(&mut self, ticket: Ticket, now: Monotonic, cause: OpenCause) -> Option<OpenCause> {
        if ticket.cycle != self.cycle {
            return None;
        }
        let cause = match self.phase {
            Phase::Closed { .. } => cause,
            Phase::HalfOpen { .. } => OpenCause::Probe,
            Phase::Open { .. } | Phase::ForcedOpen | Phase::ForcedClosed => return None,
        };
        self.enter(Phase::Open { until: now + self.open_for });
        Some(cause)
    }

    /// The call ended without saying anything about the other side.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        if ticket.cycle == self.cycle
            && let Phase::HalfOpen { probe } = &mut self.phase
        {
            *probe = None;
        }
    }

    pub(super) fn force_open(&mut self) {
        self.enter(Phase::ForcedOpen);
    }

    pub(super) fn force_closed(&mut self) {
        self.enter(Phase::ForcedClosed);
    }

    pub(super) fn reset(&mut self) {
        self.enter(Phase::closed());
    }

    pub(super) fn cycle(&self) -> u64 {
        self.cycle
    }

    pub(super) fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed { .. } => CircuitState::Closed,
            Phase::Open { until } => CircuitState::Open { until },
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
            Phase::ForcedOpen => CircuitState::ForcedOpen,
            Phase::ForcedClosed => CircuitState::ForcedClosed,
        }
    }

    /// Lets calls through, and a success would change nothing.
    pub(super) fn is_calm(&self) -> bool {
        match &self.phase {
            Phase::Closed { failures } => failures.is_empty(),
            phase => matches!(phase, Phase::ForcedClosed),
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.cycle += 1;
    }
}

impl Phase {
    fn closed() -> Self {
        Self::Closed { failures: VecDeque::new() }
    }
}
