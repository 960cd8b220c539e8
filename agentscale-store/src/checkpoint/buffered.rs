//! What is known of threads that commit *buffered*: enough to check a commit without the writer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::checkpoint::{Epoch, Version};
use agentscale_core::{AgentId, Error};

/// Threads that are remembered beyond their last queued commit.
const REMEMBERED: usize = 100_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct Buffered {
    lines: Arc<Mutex<Lines>>,
}

#[derive(Debug, Default)]
struct Lines {
    by_thread: HashMap<AgentId, Line>,
    queued: usize,
    failed: usize,
}

#[derive(Debug)]
struct Line {
    epoch: Epoch,
    version: Version,
    queued: usize,
    failed: Option<Error>,
}

/// Belongs to a queued commit; says what became of it. Dropped without a word, the commit never was.
#[derive(Debug)]
pub(crate) struct Receipt {
    thread: AgentId,
    expected: Version,
    open: bool,
    buffered: Buffered,
}

impl Buffered {
    /// Takes a commit into account that fits the known tip; `None` where it does not fit or no tip is
    /// known: the writer decides then.
    pub(crate) fn enter(&self, thread: &AgentId, epoch: Epoch, expected: Version) -> Option<Receipt> {
        let mut lines = self.lines();
        let line = lines.by_thread.get_mut(thread)?;
        if line.epoch != epoch || line.version != expected || line.failed.is_some() {
            return None;
        }
        line.version = Version(expected.0 + 1);
        line.queued += 1;
        lines.queued += 1;
        Some(Receipt { thread: thread.clone(), expected, open: true, buffered: self.clone() })
    }

    /// Remembers a tip that the writer gave.
    pub(crate) fn learn(&self, thread: AgentId, epoch: Epoch, version: Version) {
        let mut lines = self.lines();
        if lines.by_thread.len() >= REMEMBERED {
            lines.by_thread.retain(|_, line| line.queued > 0 || line.failed.is_some());
        }
        let line = lines.by_thread.entry(thread).or_insert(Line { epoch, version, queued: 0, failed: None });
        // Commits of the same owner that are queued already have moved the line on.
        line.version = if line.epoch == epoch { line.version.max(version) } else { version };
        line.epoch = epoch;
    }

    /// Forgets a thread whose tip moved by another way than a commit.
    pub(crate) fn forget(&self, thread: &AgentId) {
        let mut lines = self.lines();
        if lines.by_thread.get(thread).is_some_and(|line| line.queued == 0 && line.failed.is_none()) {
            lines.by_thread.remove(thread);
        }
    }

    /// The error of a queued commit of this thread, told once.
    pub(crate) fn take_failure(&self, thread: &AgentId) -> Option<Error> {
        let mut lines = self.lines();
        if lines.failed == 0 {
            return None;
        }
        let line = lines.by_thread.get_mut(thread)?;
        let error = line.failed.take()?;
        if line.queued == 0 {
            lines.by_thread.remove(thread);
        }
        lines.failed -= 1;
        Some(error)
    }

    /// Whether commits of any thread are queued.
    pub(crate) fn is_pending(&self) -> bool {
        self.lines().queued > 0
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Nothing under the lock panics half way through a change.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receipt {
    pub(crate) fn written(mut self, error: Option<Error>) {
        self.open = false;
        let mut lines = self.buffered.lines();
        lines.queued -= 1;
        let Some(line) = lines.by_thread.get_mut(&self.thread) else { return };
        line.queued -= 1;
        if let Some(error) = error
            && line.failed.is_none()
        {
            line.failed = Some(error);
            lines.failed += 1;
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let mut lines = self.buffered.lines();
        lines.queued -= 1;
        let Some(line) = lines.by_thread.get_mut(&self.thread) else { return };
        line.queued -= 1;
        if line.version.0 == self.expected.0 + 1 {
            line.version = self.expected;
        }
    }
}

#[cfg(test)]
mod tests {
    use agentscale_core::Tenant;

    use super::*;

    #[test]
    fn a_commit_dropped_before_it_is_queued_leaves_nothing_pending_and_can_be_sent_again() {
        let thread = AgentId::new(&Tenant::new("acme").unwrap(), "note", "alice").unwrap();
        let epoch = Epoch::default();
        let buffered = Buffered::default();
        buffered.learn(thread.clone(), epoch, Version(4));
        drop(buffered.enter(&thread, epoch, Version(4)).expect("it fits"));
        assert!(!buffered.is_pending());
        assert!(buffered.enter(&thread, epoch, Version(5)).is_none());
        let again = buffered.enter(&thread, epoch, Version(4)).expect("it still fits");
        assert!(buffered.is_pending());
        again.written(None);
        assert!(!buffered.is_pending());
        assert!(buffered.enter(&thread, epoch, Version(5)).is_some());
    }
}
