use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use agentscale_core::llm::LlmProvider;
use agentscale_core::time::Monotonic;

use super::bucket::Bucket;
use super::quota::Quota;

/// A key that fails so often in a minute is as bad as one can be.
const MOST_FAILURES: u64 = 10;

/// What one key of a provider may do, and the provider that calls with it.
pub(crate) struct Key {
    id: Arc<str>,
    provider: Arc<dyn LlmProvider>,
    quota: Arc<Quota>,
    /// What took its place when the gateway was set up anew: calls that still go by this one go by the quota of that.
    successor: OnceLock<Arc<Key>>,
    /// What failed of late.
    failures: Bucket,
    /// Until when it is left alone, on the gateway's clock: it only moves on.
    cool_until: AtomicU64,
}

impl Key {
    pub(crate) fn new(id: impl Into<Arc<str>>, provider: Arc<dyn LlmProvider>, quota: Arc<Quota>) -> Self {
        let (successor, failures) = (OnceLock::new(), Bucket::per_minute(MOST_FAILURES));
        Self { id: id.into(), provider, quota, successor, failures, cool_until: AtomicU64::new(0) }
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn provider(&self) -> &Arc<dyn LlmProvider> {
        &self.provider
    }

    pub(crate) fn quota(&self) -> &Arc<Quota> {
        let mut key = self;
        while let Some(successor) = key.successor.get() {
            key = successor;
        }
        &key.quota
    }

    /// This one is in its place.
    pub(crate) fn is_succeeded_by(&self, successor: &Arc<Self>) {
        // A table takes the place of another but once.
        self.successor.get_or_init(|| Arc::clone(successor));
    }

    /// A call by it failed, for its own or its provider's trouble.
    pub(crate) fn failed(&self, now: Monotonic) {
        // Where it has failed so often that there is no more to take, it is as bad as it can be.
        let _ = self.failures.take(1, now);
    }

    /// How good it is for a call: the free share of its limits, 0 to 1, by the share of failures that it has not had.
    pub(crate) fn worth(&self, now: Monotonic) -> f64 {
        self.quota().free_share(now) * self.failures.share(now)
    }

    /// Leaves it alone for `wait`; a longer rest that was asked for before stands.
    pub(crate) fn cool_for(&self, wait: Duration, now: Monotonic) {
        self.cool_until.fetch_max((now + wait).as_nanos(), Ordering::Relaxed);
    }

    /// Whether the provider accepts it, as far as it has said.
    pub(crate) fn is_in_use(&self, now: Monotonic) -> bool {
        self.cool_until.load(Ordering::Relaxed) <= now.as_nanos()
    }

    /// Rests as long as the key of this name did before the gateway was set up anew.
    pub(crate) fn rest_like(&self, before: &Self) {
        self.cool_until.fetch_max(before.cool_until.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// How long it is still left alone, for itself or for its quota.
    pub(crate) fn cool_left(&self, now: Monotonic) -> Option<Duration> {
        let own = Monotonic::from_nanos(self.cool_until.load(Ordering::Relaxed));
        let until = own.max(self.quota().closed_until());
        (until > now).then(|| until.since(now))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("quota", &self.quota).finish_non_exhaustive()
    }
}
