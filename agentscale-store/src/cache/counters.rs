use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::core::Core;
use super::shared::{Place, Window};
use super::{CacheKey, CachedType, Reach};

/// Keys that are counted in memory, at most; the least recently counted go first.
const KEYS: u64 = 100_000;

/// What happened within the last minute, by key ([`CachedType::RateCounters`]): over all nodes of a Redis, else here.
///
/// A sliding window of two parts: what was counted in this one, and of the one before as much as the window still covers,
/// as if it had come evenly. Not for what must be exact, nor for money: that is a budget's matter.
///
/// ```
/// use agentscale_core::Tenant;
/// use agentscale_store::cache::{CacheConfig, CacheKey, NodeCache};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentscale_core::Result<()> {
/// let counters = NodeCache::new(CacheConfig::default())?.counters();
/// let key = CacheKey::new(&Tenant::new("acme")?, "search");
/// counters.add(&key, 1).await;
/// assert_eq!(counters.add(&key, 2).await.count, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RateCounters {
    core: Arc<Core>,
    window: Duration,
    here: Cache<[u8; 32], Arc<Mutex<Parts>>>,
}

/// What was counted within the last window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counted {
    /// How much, with what was just added.
    pub count: u64,
    /// Whether other nodes' is among it: [`Reach::Here`] where Redis did not answer.
    pub reach: Reach,
}

/// Two windows, side by side.
#[derive(Debug, Default)]
struct Parts {
    number: u64,
    now: u64,
    before: u64,
}

impl RateCounters {
    pub(super) fn new(core: &Arc<Core>) -> Self {
        let policy = core.config.policies.of(CachedType::RateCounters);
        let window = policy.shared.or(policy.in_process).unwrap_or(Duration::from_secs(60));
        let here = Cache::builder().max_capacity(KEYS).eviction_policy(EvictionPolicy::lru());
        let here = here.time_to_idle(window.saturating_mul(2)).build();
        Self { core: Arc::clone(core), window: window.max(Duration::from_millis(1)), here }
    }

    /// Counts `n` more; with 0 it only looks.
    pub async fn add(&self, key: &CacheKey, n: u64) -> Counted {
        let here = self.add_here(key, n);
        let Some(layer) = &self.core.layer else {
            return Counted { count: here.count(self.window), reach: Reach::Everywhere };
        };
        let place = Place { cache: CachedType::RateCounters.name().into(), key: key.clone() };
        match layer.count(&place, n, self.window).await {
            Ok(all) => Counted { count: all.count(self.window), reach: Reach::Everywhere },
            Err(_) => {
                self.core.counts.failures.increment();
                Counted { count: here.count(self.window), reach: Reach::Here }
            }
        }
    }

    fn add_here(&self, key: &CacheKey, n: u64) -> Window {
        let nanos = self.core.clock.now().as_nanos();
        let window = u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX);
        let parts = self.here.get_with(key.hash, Arc::default);
        let mut parts = parts.lock().unwrap_or_else(PoisonError::into_inner);
        let number = nanos / window;
        if number > parts.number {
            let before = if number == parts.number + 1 { parts.now } else { 0 };
            *parts = Parts { number, now: 0, before };
        }
        parts.now = parts.now.saturating_add(n);
        Window { now: parts.now, before: parts.before, into: Duration::from_nanos(nanos % window) }
    }
}

impl Window {
    fn count(&self, window: Duration) -> u64 {
        let left = window.saturating_sub(self.into);
        let part = u128::from(self.before) * left.as_nanos() / window.as_nanos().max(1);
        self.now.saturating_add(u64::try_from(part).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for RateCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateCounters").field("window", &self.window).finish_non_exhaustive()
    }
}
