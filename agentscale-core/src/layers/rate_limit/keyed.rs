mod keys;
mod layer;

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::{NotUntil, RateLimiter};
use serde::{Deserialize, Serialize};

use super::RateLimitConfig;
use super::limit::{InjectedClock, refused};
use crate::Result;
use crate::layers::limits;
use crate::time::Clock;

use keys::BoundedKeys;
pub use layer::{KeyedRateLimitLayer, KeyedRateLimitService};

/// A rate for each key, and how many keys are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyedRateLimitConfig {
    /// What each key may do; 60 calls a second.
    pub limit: RateLimitConfig,
    /// For how many keys a state is kept at most; 100 000.
    pub max_keys: u32,
}

impl Default for KeyedRateLimitConfig {
    fn default() -> Self {
        Self { limit: RateLimitConfig::default(), max_keys: 100_000 }
    }
}

/// A rate for each key, shared by its clones, in bounded memory.
///
/// A key has a place from its first call on. When the places are used up, a new key takes that of one whose whole burst
/// is free again, which loses nothing. A key that has used up a part of its rate never loses its place, so that a flood
/// of keys gives nobody a fresh rate: new keys for which no place is found have one rate, all of them together.
/// `max_keys` is thus to be above the number of keys that come within the time in which a burst comes back.
///
/// ```
/// use std::sync::Arc;
/// use agentscale_core::layers::{KeyedRateLimit, KeyedRateLimitConfig};
/// use agentscale_core::time::ManualClock;
///
/// let mut config = KeyedRateLimitConfig::default();
/// config.limit.burst = std::num::NonZeroU32::MIN;
/// let limit = KeyedRateLimit::new(&config, Arc::new(ManualClock::new()))?;
/// limit.try_acquire(&"alice")?;
/// assert!(limit.try_acquire(&"alice").is_err());
/// limit.try_acquire(&"bob")?;
/// # Ok::<(), agentscale_core::Error>(())
/// ```
pub struct KeyedRateLimit<K: Hash + Eq + Clone> {
    limiter: Arc<Limiter<K>>,
}

type Limiter<K> = RateLimiter<K, BoundedKeys<K>, InjectedClock, NoOpMiddleware<Nanos>>;

impl<K: Hash + Eq + Clone> KeyedRateLimit<K> {
    /// A limit that knows no key.
    ///
    /// # Errors
    ///
    /// Those of [`RateLimit::new`](super::RateLimit::new), and `invalid_input` with the context `max_keys` where that
    /// is zero or more than ten millions.
    pub fn new(config: &KeyedRateLimitConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let quota = config.limit.quota()?;
        limits::within("set up a keyed rate limit", "max_keys", config.max_keys, 1..=MOST_KEYS)?;
        let keys = BoundedKeys::new(config.max_keys as usize, quota.replenish_interval());
        Ok(Self { limiter: Arc::new(RateLimiter::new(quota, keys, InjectedClock(clock))) })
    }

    /// Takes one call out of the rate of `key`.
    ///
    /// # Errors
    ///
    /// `rate_limited` with the time to the next free call, which nobody has reserved.
    #[inline]
    pub fn try_acquire(&self, key: &K) -> Result<()> {
        let limiter = &self.limiter;
        limiter.check_key(key).map_err(|refusal: NotUntil<Nanos>| refused(&refusal, limiter.clock()))
    }

    /// For how many keys a state is kept.
    pub fn keys(&self) -> usize {
        self.limiter.len()
    }
}

const MOST_KEYS: u32 = 10_000_000;

impl<K: Hash + Eq + Clone> Clone for KeyedRateLimit<K> {
    fn clone(&self) -> Self {
        Self { limiter: Arc::clone(&self.limiter) }
    }
}

impl<K: Hash + Eq + Clone> fmt::Debug for KeyedRateLimit<K> {
    /// Without the keys, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimit").field("keys", &self.keys()).finish_non_exhaustive()
    }
}
