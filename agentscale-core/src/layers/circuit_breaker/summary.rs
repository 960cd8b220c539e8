use super::CircuitState;
use super::state::Machine;

/// The machine in one word: the cycle, whether calls pass, whether they are recorded, whether a success would
/// change nothing. It spares calls the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary(u64);

impl Summary {
    const CALM: u64 = 0b001;
    const PASSES: u64 = 0b010;
    const RECORDS: u64 = 0b100;
    const FLAGS: u32 = 3;

    /// Sends every call to the lock.
    pub(super) const NOTHING: Self = Self(0);

    pub(super) fn of(machine: &Machine) -> Self {
        let flags = match machine.state() {
            CircuitState::Closed => Self::PASSES | Self::RECORDS,
            CircuitState::ForcedClosed => Self::PASSES,
            _ => 0,
        };
        let calm = if machine.is_calm() { Self::CALM } else { 0 };
        Self(machine.cycle() << Self::FLAGS | flags | calm)
    }

    /// The cycle of the calls that pass without a look at the machine.
    #[inline]
    pub(super) fn passing(self) -> Option<u64> {
        (self.0 & Self::PASSES != 0).then_some(self.0 >> Self::FLAGS)
    }

    /// Whether a success of this cycle would change nothing.
    #[inline]
    pub(super) fn is_calm(self, cycle: u64) -> bool {
        self.0 & Self::CALM != 0 && self.0 >> Self::FLAGS == cycle
    }

    /// Whether calls of this cycle are recorded.
    #[inline]
    pub(super) fn records(self, cycle: u64) -> bool {
        self.0 & Self::RECORDS != 0 && self.0 >> Self::FLAGS == cycle
    }

    #[inline]
    pub(super) fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(super) fn word(self) -> u64 {
        self.0
    }
}
