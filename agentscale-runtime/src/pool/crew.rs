//! Who runs woken agents. As many workers as tokio has threads stand at the front and take agents from one queue. One
//! whose turn has to wait stays with its agent, as that agent's task, and another takes its place at the front. So a
//! turn that waits for nothing costs no task, and one that waits holds nobody up.
//!
//! In a pool whose turns run long before they first wait, a worker leaves the front before it begins: every woken agent
//! has a task of its own at once, and tokio's scheduler spreads them.

use std::collections::VecDeque;

#[cfg(test)]
use shuttle::sync::{Mutex, MutexGuard};
use std::sync::PoisonError;
#[cfg(not(test))]
use std::sync::{Mutex, MutexGuard};

use super::pace::Pace;

pub(super) struct Crew<W> {
    pub(super) pace: Pace,
    /// How many workers of a quick pool stand at the front.
    most: usize,
    front: Mutex<Front<W>>,
}

struct Front<W> {
    ready: VecDeque<W>,
    /// Workers that are about to take an agent, or run one that has not waited yet.
    workers: usize,
    taken: u64,
    taken_before: u64,
}

impl<W> Crew<W> {
    pub(super) fn new(threads: usize) -> Self {
        let front = Front { ready: VecDeque::new(), workers: 0, taken: 0, taken_before: 0 };
        Self { pace: Pace::default(), most: threads, front: Mutex::new(front) }
    }

    /// Queues a woken agent; `true` where the caller starts another worker.
    #[must_use]
    pub(super) fn queue(&self, wake: W) -> bool {
        let mut front = self.lock();
        front.ready.push_back(wake);
        front.wants_worker(self.most())
    }

    /// How many workers to start because those at the front have taken nobody since the last call: code that blocks
    /// holds them.
    pub(super) fn relieve(&self) -> usize {
        let mut front = self.lock();
        let stuck = !front.ready.is_empty() && front.taken == front.taken_before;
        front.taken_before = front.taken;
        let wanted = if stuck { front.ready.len() } else { 0 };
        front.workers += wanted;
        wanted
    }

    fn most(&self) -> usize {
        if self.pace.is_quick() { self.most } else { usize::MAX }
    }

    fn lock(&self) -> MutexGuard<'_, Front<W>> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> Front<W> {
    fn wants_worker(&mut self, most: usize) -> bool {
        let wants = self.workers < self.ready.len().min(most);
        self.workers += usize::from(wants);
        wants
    }
}

/// A worker's place at the front, which it leaves and finds again.
pub(super) struct Place<'a, W> {
    crew: &'a Crew<W>,
    at_front: bool,
}

impl<'a, W> Place<'a, W> {
    /// The place of a worker that was asked for.
    pub(super) fn at_front(crew: &'a Crew<W>) -> Self {
        Self { crew, at_front: true }
    }

    /// The place of who runs one agent and takes no other.
    pub(super) fn aside(crew: &'a Crew<W>) -> Self {
        Self { crew, at_front: false }
    }

    /// The next agent. Where there is none, the worker stays at the front, if there is room.
    pub(super) fn take(&mut self) -> Option<W> {
        let mut front = self.crew.lock();
        if !self.at_front && front.workers < self.crew.most() {
            front.workers += 1;
            self.at_front = true;
        }
        self.take_from(&mut front)
    }

    /// The next agent. Where there is none, the worker leaves the front and is done.
    pub(super) fn take_last(&mut self) -> Option<W> {
        let mut front = self.crew.lock();
        let next = self.take_from(&mut front);
        if next.is_none() && self.at_front {
            front.workers -= 1;
            self.at_front = false;
        }
        next
    }

    fn take_from(&mut self, front: &mut Front<W>) -> Option<W> {
        let wake = if self.at_front { front.ready.pop_front()? } else { return None };
        front.taken += 1;
        if !self.crew.pace.is_quick() {
            front.workers -= 1;
            self.at_front = false;
        }
        Some(wake)
    }

    /// The worker stays with an agent that waits; `true` where it starts another one.
    #[must_use]
    pub(super) fn leave(&mut self) -> bool {
        if !std::mem::take(&mut self.at_front) {
            return false;
        }
        let mut front = self.crew.lock();
        front.workers -= 1;
        front.wants_worker(self.crew.most())
    }

    /// Whether others wait for this worker.
    pub(super) fn is_awaited(&self) -> bool {
        self.at_front && !self.crew.lock().ready.is_empty()
    }
}

impl<W> Drop for Place<'_, W> {
    /// A worker that ends at the front: tokio is shutting down, and nobody will run those who wait.
    fn drop(&mut self) {
        if !self.at_front {
            return;
        }
        let mut front = self.crew.lock();
        front.workers -= 1;
        let left = if front.workers == 0 { std::mem::take(&mut front.ready) } else { VecDeque::new() };
        drop(front);
        drop(left);
    }
}

#[cfg(test)]
mod tests;
