use std::sync::atomic::{AtomicU64, Ordering};

use agentscale_core::schedule::{RunCounts, Tick};

/// What a scheduler has done since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchedulerStats {
    /// Ticks that were answered.
    pub ticks: u64,
    /// What became of the times of schedules.
    pub runs: RunCounts,
    /// Events whose jobs were enqueued.
    pub events: u64,
    /// Events that can never have a job, and are dead letters.
    pub dead_events: u64,
    /// Operations of the store and subscriptions that failed; they are tried again.
    pub failures: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    ticks: AtomicU64,
    fired: AtomicU64,
    late: AtomicU64,
    missed: AtomicU64,
    overlapped: AtomicU64,
    events: AtomicU64,
    dead_events: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    pub(super) fn ticked(&self, tick: &Tick) {
        add(&self.ticks, 1);
        for counts in tick.fired.iter().map(|fired| fired.counts) {
            add(&self.fired, counts.fired);
            add(&self.late, counts.late);
            add(&self.missed, counts.missed);
            add(&self.overlapped, counts.overlapped);
        }
    }

    pub(super) fn took(&self, events: usize) {
        add(&self.events, events as u64);
    }

    pub(super) fn buried(&self) {
        add(&self.dead_events, 1);
    }

    pub(super) fn failed(&self) {
        add(&self.failures, 1);
    }

    pub(super) fn stats(&self) -> SchedulerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut runs = RunCounts::default();
        runs.fired = read(&self.fired);
        runs.late = read(&self.late);
        runs.missed = read(&self.missed);
        runs.overlapped = read(&self.overlapped);
        SchedulerStats {
            ticks: read(&self.ticks),
            runs,
            events: read(&self.events),
            dead_events: read(&self.dead_events),
            failures: read(&self.failures),
        }
    }
}

fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
