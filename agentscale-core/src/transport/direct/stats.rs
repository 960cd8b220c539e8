use std::sync::atomic::{AtomicU64, Ordering};

/// What became of messages that no receiver took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportStats {
    /// Given to another member of the group, or refused to the sender, because an inbox was full.
    pub refused: u64,
    /// Published messages that a full subscriber missed.
    pub missed: u64,
    /// Delivered again.
    pub redelivered: u64,
    /// Dead letters.
    pub dead_lettered: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) refused: AtomicU64,
    pub(super) missed: AtomicU64,
    pub(super) redelivered: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> TransportStats {
        TransportStats {
            refused: self.refused.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
            redelivered: self.redelivered.load(Ordering::Relaxed),
            dead_lettered: self.dead_lettered.load(Ordering::Relaxed),
        }
    }
}
