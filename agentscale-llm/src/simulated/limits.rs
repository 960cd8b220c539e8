use std::sync::Mutex;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use tokio::time::Instant;

/// Buckets of requests and tokens: a call takes from both or from neither.
#[derive(Debug)]
pub(super) struct Limits {
    buckets: Mutex<[Option<Bucket>; 2]>,
}

impl Limits {
    pub(super) fn new(requests_per_minute: Option<u32>, tokens_per_minute: Option<u32>) -> Self {
        let limits = [("requests", requests_per_minute), ("tokens", tokens_per_minute)];
        let buckets = limits.map(|(unit, limit)| limit.map(|limit| Bucket::new(unit, limit)));
        Self { buckets: Mutex::new(buckets) }
    }

    pub(super) fn take(&self, tokens: u64) -> Result<()> {
        let mut buckets = self.buckets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let wants = [1.0, tokens as f64];
        for (bucket, wanted) in buckets.iter_mut().zip(wants) {
            bucket.as_mut().map_or(Ok(()), |bucket| bucket.check(wanted))?;
        }
        for (bucket, wanted) in buckets.iter_mut().zip(wants) {
            if let Some(bucket) = bucket {
                bucket.level -= wanted;
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Bucket {
    unit: &'static str,
    capacity: f64,
    level: f64,
    /// When `level` was right; `None` before the first call, because a provider may be made outside a runtime.
    at: Option<Instant>,
}

impl Bucket {
    fn new(unit: &'static str, per_minute: u32) -> Self {
        Self { unit, capacity: f64::from(per_minute), level: f64::from(per_minute), at: None }
    }

    fn check(&mut self, wanted: f64) -> Result<()> {
        self.refill(Instant::now());
        if wanted > self.capacity {
            return Err(Error::new(ErrorKind::TooLarge, "take from the simulator's limits")
                .with_context("unit", self.unit)
                .with_context("wanted", wanted)
                .with_context("per_minute", self.capacity));
        }
        if wanted <= self.level {
            return Ok(());
        }
        let seconds = (wanted - self.level) * 60.0 / self.capacity;
        // The millisecond on top keeps rounding from making the wait too short.
        let wait = Duration::from_secs_f64(seconds) + Duration::from_millis(1);
        Err(Error::new(ErrorKind::RateLimited, "take from the simulator's limits")
            .with_context("unit", self.unit)
            .with_retry_after(wait))
    }

    fn refill(&mut self, now: Instant) {
        let passed = self.at.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.level = (self.level + self.capacity * passed.as_secs_f64() / 60.0).min(self.capacity);
    }
}
