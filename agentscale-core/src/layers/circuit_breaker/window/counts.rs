use std::iter::Sum;
use std::ops::Add;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Outcome {
    pub(in super::super) failed: bool,
    pub(in super::super) slow: bool,
}

impl Outcome {
    pub(in super::super) fn is_trouble(self) -> bool {
        self.failed || self.slow
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) slow: u64,
}

/// The counts of a slot and its generation, which changes when they start again: 10 bits, and 18 for each count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

const BITS: u32 = 18;
const MOST: u64 = (1 << BITS) - 1;
const GENERATION: u32 = 3 * BITS;

impl Word {
    pub(super) fn counts(self) -> Counts {
        Counts { calls: self.0 & MOST, failures: self.0 >> BITS & MOST, slow: self.0 >> (2 * BITS) & MOST }
    }

    pub(super) fn with(self, outcome: Outcome) -> Self {
        let roomy = if self.0 & MOST == MOST { self.halved() } else { self };
        Self(roomy.0 + 1 + (u64::from(outcome.failed) << BITS) + (u64::from(outcome.slow) << (2 * BITS)))
    }

    pub(super) fn next_generation(self) -> Self {
        Self((self.0 >> GENERATION).wrapping_add(1) << GENERATION)
    }

    /// A slot with more calls than a word can count keeps their rates.
    fn halved(self) -> Self {
        let Counts { calls, failures, slow } = self.counts();
        let generation = self.0 >> GENERATION << GENERATION;
        Self(generation | (calls / 2) | ((failures / 2) << BITS) | ((slow / 2) << (2 * BITS)))
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            failures: self.failures + other.failures,
            slow: self.slow + other.slow,
        }
    }
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests;
