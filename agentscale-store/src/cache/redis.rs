//! Entries and versions of tags in a Redis.

mod bus;
mod scripts;
mod value;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::layers::CircuitBreakerConfig;
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use redis::Value;
use serde::{Deserialize, Serialize};

use super::config::OPERATION;
use super::shared::{Looked, Place, Refused, SharedLayer, Window};
use super::tag::TagId;
use super::{InvalidationBus, NodeCacheBuilder};
use crate::redis_link::{self, RedisLink, check};
use scripts::Scripts;

pub use bus::RedisBus;

/// How entries are held in a Redis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RedisCacheConfig {
    /// How long a request waits for Redis before it goes on without it. Default 50 ms.
    pub wait: Duration,
    /// Larger values, as they are encoded, are not sent. Default 1 MiB.
    pub value_bytes: usize,
    /// How long the version of a tag is kept that nobody changes, 1 min to 30 days. Where it goes, entries that use the
    /// tag are computed anew. Default 24 h.
    pub tag_ttl: Duration,
    /// When Redis is left alone, and how long. Default: after 5 failures in a row, for 1 s.
    pub breaker: CircuitBreakerConfig,
}

impl Default for RedisCacheConfig {
    fn default() -> Self {
        let breaker =
            CircuitBreakerConfig { open_for: Duration::from_secs(1), ..CircuitBreakerConfig::default() };
        let (wait, tag_ttl) = (Duration::from_millis(50), Duration::from_secs(86_400));
        Self { wait, value_bytes: 1 << 20, tag_ttl, breaker }
    }
}

/// A Redis that nodes share: entries, the version of each tag, and messages of changes.
///
/// One server, 7 or newer, or the primary of a group; not a Redis Cluster, whose parts answer no question over several
/// keys. It may evict what it likes and lose everything: entries are computed anew then. Names are hashes behind the
/// namespace; values are readable to who may read that Redis.
///
/// A failover that loses writes brings back the versions from before them: an entry that one of them made void is given
/// by nodes that had not heard of it, until its time is over.
#[derive(Clone)]
pub struct RedisCache {
    link: RedisLink,
    bus: RedisBus,
    scripts: Arc<Scripts>,
    value_bytes: usize,
}

impl RedisCache {
    /// Holds entries in the Redis of a URL (`redis://`, `rediss://`), for those nodes that have the same `namespace`.
    /// Connects when it is first asked. Called within a tokio runtime.
    ///
    /// # Errors
    /// `invalid_input` for a URL that is none, a time out of its bounds, an empty namespace.
    pub fn new(url: &str, namespace: &str, config: &RedisCacheConfig) -> Result<Self> {
        check(!namespace.is_empty(), OPERATION, "namespace")?;
        let is_ttl = config.tag_ttl >= Duration::from_secs(60) && config.tag_ttl.as_secs() <= 30 * 86_400;
        check(is_ttl, OPERATION, "tag_ttl")?;
        let client = redis_link::client(url, OPERATION)?;
        let link = RedisLink::new(client.clone(), "redis cache", config.wait, &config.breaker, OPERATION)?;
        let bus = RedisBus::new(client, link.clone(), namespace);
        let scripts = Arc::new(Scripts::new(namespace, config.tag_ttl));
        Ok(Self { link, bus, scripts, value_bytes: config.value_bytes })
    }

    /// Questions that failed or were not answered in time. While the breaker is open nothing is asked.
    pub fn failures(&self) -> u64 {
        self.link.failures()
    }

    /// What carries messages of changes through it.
    pub fn bus(&self) -> &RedisBus {
        &self.bus
    }
}

impl NodeCacheBuilder {
    /// Shares entries, and changes of tags, with the other nodes of a Redis.
    pub fn with_redis(self, redis: RedisCache) -> Self {
        self.with_layer(Arc::new(redis))
    }
}

#[async_trait]
impl SharedLayer for RedisCache {
    async fn look(&self, place: Option<&Place>, tags: &[TagId]) -> Result<Looked> {
        if place.is_none() && tags.is_empty() {
            return Ok(Looked::Versions(Vec::new(), Refused::Nothing));
        }
        let name = place.map(|place| self.scripts.place(place));
        let looked: Value = self.link.ask(&self.scripts.look(name.as_deref(), tags)).await?;
        match value::looked(name.as_deref(), looked) {
            Some(looked) => Ok(looked),
            // What stands there was not made here: it counts as changed, and will be written over.
            None => {
                let looked: Value = self.link.ask(&self.scripts.look(None, tags)).await?;
                value::looked(None, looked).ok_or_else(|| Error::new(ErrorKind::Corrupt, "read an entry"))
            }
        }
    }

    async fn hold(
        &self,
        place: &Place,
        value: Vec<u8>,
        tags: &[(TagId, u64)],
        ttl: Duration,
    ) -> Result<bool> {
        if value.len() > self.value_bytes {
            return Ok(false);
        }
        let name = self.scripts.place(place);
        let entry = value::encode(&name, &value, tags);
        self.link.ask(&self.scripts.hold(&name, &entry, ttl)).await
    }

    async fn versions(&self, tags: &[TagId]) -> Result<Vec<Option<u64>>> {
        let versions: Vec<Option<String>> = self.link.ask(&self.scripts.versions(tags)).await?;
        Ok(versions.into_iter().map(|version| version.and_then(|digits| digits.parse().ok())).collect())
    }

    async fn change(&self, tags: &[TagId]) -> Result<u64> {
        self.link.ask(&self.scripts.change(tags)).await
    }

    async fn last_change(&self) -> Result<u64> {
        self.link.ask(&self.scripts.last_change()).await
    }

    async fn count(&self, place: &Place, n: u64, window: Duration) -> Result<Window> {
        let name = self.scripts.place(place);
        let (now, before, into): (u64, u64, u64) =
            self.link.ask(&self.scripts.count(&name, n, window)).await?;
        Ok(Window { now, before, into: Duration::from_millis(into) })
    }

    fn bus(&self) -> Arc<dyn InvalidationBus> {
        Arc::new(self.bus.clone())
    }
}

impl fmt::Debug for RedisCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCache").field("bus", &self.bus).finish_non_exhaustive()
    }
}
