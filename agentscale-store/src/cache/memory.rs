use std::sync::Arc;
use std::time::{Duration, Instant};

use agentscale_core::time::Monotonic;
use moka::Expiry;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::entry::Entry;

/// An entry of a cache of this node, which has a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct MemoryKey {
    pub(super) cache: u32,
    pub(super) hash: [u8; 32],
}

/// The entries of all caches of a node, within one bound.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    entries: Cache<MemoryKey, Held>,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Held {
    entry: Arc<Entry>,
    ttl: Duration,
}

/// Frees the memory of what nobody asks for again; whether an entry is too old is looked at on the clock.
struct ByTtl;

impl Expiry<MemoryKey, Held> for ByTtl {
    fn expire_after_create(&self, _: &MemoryKey, held: &Held, _: Instant) -> Option<Duration> {
        Some(held.ttl)
    }

    fn expire_after_update(
        &self,
        _: &MemoryKey,
        held: &Held,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(held.ttl)
    }
}

impl Memory {
    pub(super) fn new(bytes: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, held: &Held| held.entry.weight())
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(ByTtl)
            .build();
        Self { entries, bytes }
    }

    pub(super) fn find(&self, key: &MemoryKey) -> Option<Arc<Entry>> {
        self.entries.get(key).map(|held| held.entry)
    }

    pub(super) fn hold(&self, key: MemoryKey, entry: Arc<Entry>, now: Monotonic) {
        let ttl = entry.left(now);
        // What has no room at all would stand there until the others are looked through.
        if !ttl.is_zero() && u64::from(entry.weight()) <= self.bytes {
            self.entries.insert(key, Held { entry, ttl });
        }
    }

    pub(super) fn forget(&self, key: &MemoryKey) {
        self.entries.invalidate(key);
    }

    pub(super) fn clear(&self) {
        self.entries.invalidate_all();
    }

    /// How many there are, and their bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        self.entries.run_pending_tasks();
        (self.entries.entry_count(), self.entries.weighted_size())
    }
}
