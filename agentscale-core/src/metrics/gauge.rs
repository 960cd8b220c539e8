use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A number that goes up and down. Clones show the same number.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// Replaces the number.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The number.
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
