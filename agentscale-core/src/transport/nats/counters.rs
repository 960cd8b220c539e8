use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::transport::TransportStats;

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) refused: AtomicU64,
    pub(super) missed: AtomicU64,
    pub(super) redelivered: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
    pub(super) late_replies: Arc<AtomicU64>,
    pub(super) malformed: AtomicU64,
    pub(super) reconnected: AtomicU64,
}

impl Counters {
    pub(super) fn add(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> TransportStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TransportStats {
            refused: read(&self.refused),
            missed: read(&self.missed),
            redelivered: read(&self.redelivered),
            dead_lettered: read(&self.dead_lettered),
            late_replies: read(&self.late_replies),
            malformed: read(&self.malformed),
            reconnected: read(&self.reconnected),
        }
    }
}
