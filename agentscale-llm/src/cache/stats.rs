use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a [`ResponseCache`](super::ResponseCache) has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseCacheStats {
    /// Requests that were answered from it.
    pub hits: u64,
    /// Requests that went on to the provider.
    pub misses: u64,
    /// The time that the answers given from it took when they were asked for first.
    pub saved: Duration,
    /// How old the answers given from it were, all together: divided by the hits, their staleness.
    pub age: Duration,
}

impl ResponseCacheStats {
    /// The share of requests that were answered from it, 0 to 1.
    pub fn hit_rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
        match self.hits + self.misses {
            0 => 0.0,
            all => self.hits as f64 / all as f64,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    saved_nanos: AtomicU64,
    age_nanos: AtomicU64,
}

impl Counts {
    pub(super) fn hit(&self, age: Duration, saved: Duration) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.hits.fetch_add(1, Ordering::Relaxed);
        self.saved_nanos.fetch_add(nanos(saved), Ordering::Relaxed);
        self.age_nanos.fetch_add(nanos(age), Ordering::Relaxed);
    }

    pub(super) fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ResponseCacheStats {
        let time = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        ResponseCacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            saved: time(&self.saved_nanos),
            age: time(&self.age_nanos),
        }
    }
}
