use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What became of messages that did not simply arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportStats {
    /// Sent messages and requests that no inbox of the pool took; the sender got the error.
    pub refused: u64,
    /// Published messages that a subscriber, or a whole queue group, missed because its inbox refused them.
    pub missed: u64,
    /// Delivered again.
    pub redelivered: u64,
    /// Dead letters.
    pub dead_lettered: u64,
    /// Replies that found nobody waiting.
    pub late_replies: u64,
    /// What came over a network and was no message, or not one of the subject that it came by.
    pub malformed: u64,
    /// How often the connection to a network came back.
    pub reconnected: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) refused: AtomicU64,
    pub(super) missed: AtomicU64,
    pub(super) redelivered: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
    pub(super) late_replies: Arc<AtomicU64>,
}

impl Counters {
    pub(super) fn read(&self) -> TransportStats {
        TransportStats {
            refused: self.refused.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
            redelivered: self.redelivered.load(Ordering::Relaxed),
            dead_lettered: self.dead_lettered.load(Ordering::Relaxed),
            late_replies: self.late_replies.load(Ordering::Relaxed),
            ..TransportStats::default()
        }
    }
}
