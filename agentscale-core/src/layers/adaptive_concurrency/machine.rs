//! The limit as a state machine: how a call ended gives the next limit. No lock, no clock, no call.

use std::time::Duration;

use super::aimd::Aimd;
use super::gradient::Gradient;
use super::{AdaptiveConcurrencyConfig, ConcurrencyAlgorithm};
use crate::time::Monotonic;

/// How one call ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) started: Monotonic,
    pub(super) took: Duration,
    /// The calls in flight when it started, itself included.
    pub(super) in_flight: u32,
    /// The other side could not bear it.
    pub(super) dropped: bool,
}

#[derive(Debug)]
pub(super) struct Machine {
    limit: f64,
    min: f64,
    max: f64,
    slow_after: Duration,
    last_cut: Monotonic,
    /// Signs of overload, of which each good answer forgives a part.
    signs: f64,
    rule: Rule,
}

/// So many good answers forgive one sign of overload, which chance may have brought.
const FORGIVE: f64 = 50.0;

#[derive(Debug)]
enum Rule {
    Aimd(Aimd),
    Gradient(Gradient),
}

impl Machine {
    pub(super) fn new(config: &AdaptiveConcurrencyConfig) -> Self {
        let rule = match config.algorithm {
            ConcurrencyAlgorithm::Aimd => Rule::Aimd(Aimd::default()),
            ConcurrencyAlgorithm::Gradient => Rule::Gradient(Gradient::default()),
        };
        Self {
            limit: f64::from(config.initial),
            min: f64::from(config.min),
            max: f64::from(config.max),
            slow_after: config.slow_after,
            last_cut: Monotonic::ZERO,
            signs: 0.0,
            rule,
        }
    }

    /// The limit after a call that ended at `now`.
    pub(super) fn record(&mut self, sample: Sample, now: Monotonic) -> u32 {
        let next = if sample.dropped || sample.took > self.slow_after {
            self.overloaded(sample, now)
        } else {
            self.signs = (self.signs - 1.0 / FORGIVE).max(0.0);
            match &mut self.rule {
                Rule::Aimd(aimd) => aimd.answered(self.limit, sample),
                Rule::Gradient(gradient) => gradient.answered(self.limit, sample, now),
            }
        };
        self.limit = next.clamp(self.min, self.max);
        self.limit()
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit as u32
    }

    pub(super) fn is_calm(&self) -> bool {
        self.signs <= 0.0
    }

    /// Calls that were under way together fail together: only those that started after a cut ask for another.
    fn overloaded(&mut self, sample: Sample, now: Monotonic) -> f64 {
        if sample.started < self.last_cut {
            return self.limit;
        }
        self.signs += 1.0;
        if self.signs <= (self.limit / FORGIVE).max(1.0) {
            return self.limit;
        }
        self.signs = 0.0;
        self.last_cut = now;
        if let Rule::Aimd(aimd) = &mut self.rule {
            aimd.overloaded();
        }
        self.limit * 0.9
    }
}

/// Whether so much of the limit was in use that a higher one would be.
pub(super) fn is_pressed(in_flight: u32, limit: f64) -> bool {
    f64::from(in_flight) * 2.0 >= limit
}
