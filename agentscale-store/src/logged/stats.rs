use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::checkpoint::{Epoch, Version};
use agentscale_core::{AgentId, Error};

/// What a [`LoggedCheckpointStore`](super::LoggedCheckpointStore) has done since it was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedCheckpointStats {
    /// Commits that the log acknowledged.
    pub acknowledged: u64,
    /// Commits that went to the shared store at once.
    pub written_through: u64,
    /// Commits that followed to the shared store, those of earlier processes included.
    pub flushed: u64,
    /// Tries of the shared store that failed.
    pub failed_flushes: u64,
    /// Commits that the log could not take, and that went to the shared store for it.
    pub failed_appends: u64,
    /// Commits that were left behind by a takeover.
    pub orphaned: u64,
    /// Commits that wait for the shared store now.
    pub waiting: usize,
    /// Their bytes.
    pub waiting_bytes: usize,
    /// Threads that take no commit now, as the shared store does not take theirs.
    pub blocked: usize,
}

/// A thread whose agent waits for the shared store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BlockedThread {
    /// The thread.
    pub thread: AgentId,
    /// Its commits that wait.
    pub commits: usize,
    /// How long the oldest of them does.
    pub waited: Duration,
    /// What the shared store says; `None` where it is only slow.
    pub error: Option<Error>,
}

/// Commits that were acknowledged at *local* and never got to the shared store: another owner had taken their thread over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrphanedTail {
    /// The thread.
    pub thread: AgentId,
    /// The epoch of the owner that they were acknowledged to.
    pub epoch: Epoch,
    /// The version of the first of them.
    pub first: Version,
    /// The version of the last of them.
    pub last: Version,
    /// How many there are.
    pub commits: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) acknowledged: AtomicU64,
    pub(super) written_through: AtomicU64,
    pub(super) flushed: AtomicU64,
    pub(super) failed_flushes: AtomicU64,
    pub(super) failed_appends: AtomicU64,
    pub(super) orphaned: AtomicU64,
}

impl Counters {
    pub(super) fn stats(&self) -> LoggedCheckpointStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LoggedCheckpointStats {
            acknowledged: read(&self.acknowledged),
            written_through: read(&self.written_through),
            flushed: read(&self.flushed),
            failed_flushes: read(&self.failed_flushes),
            failed_appends: read(&self.failed_appends),
            orphaned: read(&self.orphaned),
            ..LoggedCheckpointStats::default()
        }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
