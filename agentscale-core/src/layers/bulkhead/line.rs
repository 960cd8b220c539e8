//! The line as a state machine: who stands in it, and how fast it moves. No lock, no clock, no waker.

use std::collections::VecDeque;
use std::time::Duration;

use super::BulkheadConfig;
use crate::time::Monotonic;

#[derive(Debug)]
pub(super) struct Line<W> {
    max_waiting: usize,
    max_wait: Duration,
    /// In the order of their numbers.
    waiting: VecDeque<(u64, W)>,
    next_number: u64,
    /// The time between two steps while somebody waited; the last eight or so steps count.
    step: Duration,
    /// The last step, or when the first of the present line came.
    last_step: Monotonic,
}

impl<W> Line<W> {
    pub(super) fn new(config: &BulkheadConfig) -> Self {
        Self {
            max_waiting: config.max_waiting as usize,
            max_wait: config.max_wait,
            waiting: VecDeque::new(),
            next_number: 0,
            step: Duration::ZERO,
            last_step: Monotonic::ZERO,
        }
    }

    /// The number of the place, unless the line is full or moves too slowly to serve another one in time.
    pub(super) fn enter(&mut self, waiter: W, now: Monotonic) -> Option<u64> {
        if self.waiting.is_empty() {
            // The first always waits: it is who finds out that the line has become faster.
            self.last_step = now;
        } else if self.expected_wait(now) > self.max_wait {
            return None;
        }
        (self.waiting.len() < self.max_waiting).then(|| {
            let number = self.next_number;
            self.next_number += 1;
            self.waiting.push_back((number, waiter));
            number
        })
    }

    /// Takes a place out of the line; false where its turn has come already.
    pub(super) fn leave(&mut self, number: u64) -> bool {
        let at = self.waiting.binary_search_by_key(&number, |(number, _)| *number);
        at.is_ok_and(|at| self.waiting.remove(at).is_some())
    }

    /// Whose turn it is.
    pub(super) fn step(&mut self, now: Monotonic) -> Option<W> {
        let (_, waiter) = self.waiting.pop_front()?;
        let took = now.since(self.last_step);
        self.step = if self.step.is_zero() { took } else { (self.step * 7 + took) / 8 };
        self.last_step = now;
        Some(waiter)
    }

    /// A line that stands still is as slow as it has stood.
    fn expected_wait(&self, now: Monotonic) -> Duration {
        let stood = now.since(self.last_step);
        let step = self.step.max(stood);
        let ahead = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        step.saturating_mul(ahead) + (step - stood)
    }
}
