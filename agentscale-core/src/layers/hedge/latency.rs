//! How long the recent answers took: two halves of a window, of which the older is forgotten when the newer is full.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::metrics::buckets;
use crate::time::saturating_nanos;

pub(super) struct Latency {
    newer: Box<[AtomicU32]>,
    older: Box<[AtomicU32]>,
}

impl Latency {
    pub(super) fn new() -> Self {
        let empty = || (0..buckets::COUNT).map(|_| AtomicU32::new(0)).collect();
        Self { newer: empty(), older: empty() }
    }

    /// Of two answers that take the same time and are recorded at the same moment, one may be lost: a percentile does not
    /// mind, and it costs a fifth of an exact count.
    #[inline]
    pub(super) fn record(&self, took: Duration) {
        let bucket = &self.newer[buckets::index(saturating_nanos(took))];
        bucket.store(bucket.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// The time that `percent` of the answers kept; `None` where there are fewer than `min_samples`.
    pub(super) fn percentile(&self, percent: u32, min_samples: u32) -> Option<Duration> {
        let answers: u64 = self.counts().sum();
        if answers < u64::from(min_samples.max(1)) {
            return None;
        }
        let rank = (answers * u64::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.counts().position(|count| {
            seen += count;
            seen >= rank
        })?;
        // The end of the bucket, so that the answers in it are no reason for a second call.
        Some(Duration::from_nanos(buckets::bounds(bucket).1))
    }

    pub(super) fn turn(&self) {
        for (newer, older) in self.newer.iter().zip(&self.older) {
            older.store(newer.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    pub(super) fn forget(&self) {
        self.turn();
        self.turn();
    }

    fn counts(&self) -> impl Iterator<Item = u64> {
        let both = self.newer.iter().zip(&self.older);
        both.map(|(newer, older)| {
            u64::from(newer.load(Ordering::Relaxed)) + u64::from(older.load(Ordering::Relaxed))
        })
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency").field("answers", &self.counts().sum::<u64>()).finish()
    }
}
