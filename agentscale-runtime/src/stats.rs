use std::sync::atomic::{AtomicU64, Ordering};

/// What a runtime has done since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeStats {
    /// Turns that finished: committed, or done where nothing is kept.
    pub turns: u64,
    /// Requests answered from a recorded result, without a turn.
    pub replayed: u64,
    /// Turns that went on from journaled steps.
    pub resumed: u64,
    /// Journaled steps that were not run again.
    pub replayed_steps: u64,
    /// Turns that failed, panicked or were refused at their commit.
    pub failed: u64,
    /// Turns that ended because their caller had gone.
    pub cancelled: u64,
    /// Messages whose deadline passed before or during their turn.
    pub expired: u64,
    /// Messages refused because a mailbox or the runtime was full.
    pub refused: u64,
    /// Messages that became dead letters.
    pub dead_lettered: u64,
    /// Messages of turns, or of pools that keep nothing, that could not be handed over and are lost, each logged.
    pub undeliverable: u64,
    /// Events of runs that came to no stream.
    pub events_dropped: u64,
    /// Activations.
    pub activated: u64,
    /// Idle agents that were taken from memory.
    pub passivated: u64,
    /// Turns admitted and not finished, now.
    pub waiting: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) turns: AtomicU64,
    pub(crate) replayed: AtomicU64,
    pub(crate) resumed: AtomicU64,
    pub(crate) replayed_steps: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) dead_lettered: AtomicU64,
    pub(crate) undeliverable: AtomicU64,
    pub(crate) events_dropped: AtomicU64,
    pub(crate) activated: AtomicU64,
    pub(crate) passivated: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self, waiting: usize) -> RuntimeStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RuntimeStats {
            turns: read(&self.turns),
            replayed: read(&self.replayed),
            resumed: read(&self.resumed),
            replayed_steps: read(&self.replayed_steps),
            failed: read(&self.failed),
            cancelled: read(&self.cancelled),
            expired: read(&self.expired),
            refused: read(&self.refused),
            dead_lettered: read(&self.dead_lettered),
            undeliverable: read(&self.undeliverable),
            events_dropped: read(&self.events_dropped),
            activated: read(&self.activated),
            passivated: read(&self.passivated),
            waiting,
        }
    }
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
