use super::CircuitState;
use super::state::Machine;

/// The machine in one word: the cycle, whether it is closed, whether it is calm. It spares calls the lock
/// while nothing fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary(u64);

impl Summary {
    const CALM: u64 = 0b01;
    const CLOSED: u64 = 0b10;

    pub(super) fn of(machine: &Machine) -> Self {
        let closed = if machine.state() == CircuitState::Closed { Self::CLOSED } else { 0 };
        let calm = if machine.is_calm() { Self::CALM } else { 0 };
        Self(machine.cycle() << 2 | closed | calm)
    }

    pub(super) fn calm(cycle: u64) -> Self {
        Self(cycle << 2 | Self::CLOSED | Self::CALM)
    }

    pub(super) fn closed_cycle(self) -> Option<u64> {
        (self.0 & Self::CLOSED != 0).then_some(self.0 >> 2)
    }

    pub(super) fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(super) fn word(self) -> u64 {
        self.0
    }
}
