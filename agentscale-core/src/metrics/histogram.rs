mod snapshot;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::buckets;
use crate::time::saturating_nanos;

pub use snapshot::HistogramSnapshot;

/// The distribution of a value, in buckets at most 6.25 % wide over all of `u64`. Clones record together.
///
/// It takes 7.8 KB, whatever is recorded.
#[derive(Clone)]
pub struct Histogram(Arc<[AtomicU64]>);

impl Histogram {
    /// Records a value in the unit of the metric: a count, bytes, or nanoseconds where the unit is seconds.
    pub fn record(&self, value: u64) {
        self.0[buckets::index(value)].fetch_add(1, Ordering::Relaxed);
    }

    /// Records a duration in nanoseconds, for a metric whose unit is seconds.
    pub fn record_duration(&self, duration: Duration) {
        self.record(saturating_nanos(duration));
    }

    /// What was recorded so far. Recording goes on meanwhile.
    pub fn snapshot(&self) -> HistogramSnapshot {
        HistogramSnapshot::new(self.0.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect())
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self((0..buckets::COUNT).map(|_| AtomicU64::new(0)).collect())
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Histogram").field(&self.snapshot()).finish()
    }
}
