//! The machine: a state, an event and the time give the next state. No lock, no clock, no call.

use std::collections::VecDeque;

use super::CircuitBreakerConfig;
use crate::time::Monotonic;

/// What a circuit breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Lets them through.
    Closed,
    /// Refuses them until `until`, a reading of the breaker's clock.
    Open {
        /// The first moment at which a probe may go through.
        until: Monotonic,
    },
    /// Lets one through at a time, the probe: its success closes the circuit, its failure opens it again.
    HalfOpen,
}

/// What an admitted call carries back: results of another cycle than the current one are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) cycle: u64,
    pub(super) probe: bool,
}

#[derive(Debug)]
pub(super) struct Machine {
    phase: Phase,
    /// Counts the changes of phase.
    cycle: u64,
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
    HalfOpen {
        probing: bool,
    },
}

impl Machine {
    pub(super) fn new() -> Self {
        Self { phase: Phase::Closed { failures: VecDeque::new() }, cycle: 0 }
    }

    /// A ticket for a call at `now`, or `None` for a refusal.
    pub(super) fn acquire(&mut self, now: Monotonic) -> Option<Ticket> {
        if let Phase::Open { until } = self.phase
            && until <= now
        {
            self.enter(Phase::HalfOpen { probing: false });
        }
        match &mut self.phase {
            Phase::Closed { .. } => Some(Ticket { cycle: self.cycle, probe: false }),
            Phase::HalfOpen { probing } if !*probing => {
                *probing = true;
                Some(Ticket { cycle: self.cycle, probe: true })
            }
            Phase::HalfOpen { .. } | Phase::Open { .. } => None,
        }
    }

    /// Whether [`Machine::acquire`] would give a ticket; changes nothing.
    pub(super) fn admits(&self, now: Monotonic) -> bool {
        match self.phase {
            Phase::Closed { .. } => true,
            Phase::Open { until } => until <= now,
            Phase::HalfOpen { probing } => !probing,
        }
    }

    pub(super) fn succeed(&mut self, ticket: Ticket) {
        if ticket.cycle != self.cycle {
            return;
        }
        match &mut self.phase {
            Phase::Closed { failures } => failures.clear(),
            Phase::HalfOpen { .. } => self.enter(Phase::Closed { failures: VecDeque::new() }),
            Phase::Open { .. } => {}
        }
    }

    /// Whether this failure opened the circuit.
    pub(super) fn fail(&mut self, ticket: Ticket, now: Monotonic, config: &CircuitBreakerConfig) -> bool {
        if ticket.cycle != self.cycle {
            return false;
        }
        let opens = match &mut self.phase {
            Phase::Closed { failures } => {
                while failures.front().is_some_and(|at| now.since(*at) > config.within) {
                    failures.pop_front();
                }
                failures.push_back(now);
                failures.len() >= usize::from(config.consecutive_failures.get())
            }
            Phase::HalfOpen { .. } => true,
            Phase::Open { .. } => false,
        };
        if opens {
            self.enter(Phase::Open { until: now + config.open_for });
        }
        opens
    }

    /// The call ended without saying anything about the other side.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        if ticket.cycle == self.cycle
            && let Phase::HalfOpen { probing } = &mut self.phase
        {
            *probing = false;
        }
    }

    pub(super) fn cycle(&self) -> u64 {
        self.cycle
    }

    pub(super) fn state(&self) -> CircuitState {
        match self.phase {
            Phase::Closed { .. } => CircuitState::Closed,
            Phase::Open { until } => CircuitState::Open { until },
            Phase::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// Closed, and a success would change nothing.
    pub(super) fn is_calm(&self) -> bool {
        matches!(&self.phase, Phase::Closed { failures } if failures.is_empty())
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.cycle += 1;
    }
}
