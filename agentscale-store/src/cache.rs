//! Values that cost something to make, held until what they were made of changes.
//!
//! A [`NodeCache`] holds the entries of all [`Cache`]s of a node in one bound of bytes, with a Redis behind it for
//! several nodes. Each entry names what it was made of by [`Tag`]s: a change of one makes void what used it, on every
//! node, and leaves the rest. `docs/state.md` says for each type of data which layers hold it and how long, and how old
//! an entry can be where messages are lost.
//!
//! Not for what must be exact: between a change and the word of it a reader on another node gets what was.
//!
//! ```
//! use agentscale_core::Tenant;
//! use agentscale_store::cache::{CacheConfig, CacheKey, CachedType, NodeCache, Reach, Tag, TagKind};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> agentscale_core::Result<()> {
//! let node = NodeCache::new(CacheConfig::default())?;
//! let definitions = node.of::<String>(CachedType::AgentDefinitions)?;
//! let acme = Tenant::new("acme")?;
//! let (key, prompt) = (CacheKey::new(&acme, "researcher"), Tag::new(&acme, TagKind::File, "prompt.md"));
//! for _ in 0..2 {
//!     let read = |_| async { Ok("You look things up.".to_owned()) };
//!     let definition = definitions.get_or_compute(&key, &[prompt.clone()], read).await?;
//!     assert_eq!(*definition, "You look things up.");
//! }
//! assert_eq!((definitions.stats().in_process, definitions.stats().misses), (1, 1));
//!
//! assert_eq!(node.changed(&[prompt]).await, Reach::Everywhere);
//! assert_eq!(definitions.get(&key).await, None);
//! # Ok(())
//! # }
//! ```

mod bus;
mod config;
mod core;
mod counters;
mod edge;
mod entry;
mod flight;
mod link;
mod memory;
mod node;
mod policy;
#[cfg(feature = "redis")]
mod redis;
mod scope;
mod shared;
mod stats;
mod tag;
mod tags;
mod tasks;
#[cfg(test)]
mod tests;
mod typed;
mod untold;
mod uses;

pub use bus::InvalidationBus;
pub use config::CacheConfig;
pub use counters::{Counted, RateCounters};
pub use edge::{CacheControl, ETag, Freshness};
pub use node::{NodeCache, NodeCacheBuilder, Reach};
pub use policy::{CachePolicies, CachePolicy, CachedType, Invalidation};
#[cfg(feature = "redis")]
pub use redis::{RedisBus, RedisCache, RedisCacheConfig};
pub use scope::{CacheKey, CacheScope};
pub use stats::{CacheStats, NodeCacheStats};
pub use tag::{Tag, TagKind};
pub use typed::Cache;
pub use uses::Uses;
