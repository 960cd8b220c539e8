use std::sync::atomic::{AtomicU64, Ordering};

use agentscale_core::checkpoint::Durability;

/// What a store has written since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointStats {
    /// Commits that succeeded.
    pub commits: u64,
    /// Transactions.
    pub batches: u64,
    /// Transactions that were synced to the device before they were acknowledged.
    pub syncs: u64,
    /// Bytes of states and of their changes that were handed to the database, whole states included that a long chain
    /// of changes made necessary.
    pub payload_bytes: u64,
}

impl CheckpointStats {
    /// Commits for each transaction, 0 before the first one.
    pub fn commits_per_batch(&self) -> f64 {
        if self.batches == 0 { 0.0 } else { self.commits as f64 / self.batches as f64 }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    commits: AtomicU64,
    batches: AtomicU64,
    syncs: AtomicU64,
    payload_bytes: AtomicU64,
}

impl Counters {
    /// Counts a transaction that holds so many commits.
    pub(crate) fn batch(&self, commits: usize, level: Durability) {
        self.commits.fetch_add(commits as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.syncs.fetch_add(u64::from(level == Durability::Disk), Ordering::Relaxed);
    }

    pub(crate) fn payload(&self, delta: &[u8]) {
        self.payload_bytes.fetch_add(delta.len() as u64, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> CheckpointStats {
        CheckpointStats {
            commits: self.commits.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
            payload_bytes: self.payload_bytes.load(Ordering::Relaxed),
        }
    }
}
