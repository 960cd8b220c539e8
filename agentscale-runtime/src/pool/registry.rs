//! Every known agent of a pool, by tenant and key.

use std::hash::BuildHasher;
use std::sync::{Arc, PoisonError, RwLock};

use agentscale_core::{AgentKey, Tenant};
use hashbrown::{DefaultHashBuilder, HashTable};
use tokio::task::yield_now;

use super::slot::Slot;

const SHARDS: usize = 64;

pub(super) struct Registry<S> {
    hasher: DefaultHashBuilder,
    shards: Vec<RwLock<HashTable<Arc<Slot<S>>>>>,
}

impl<S> Default for Registry<S> {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { hasher: DefaultHashBuilder::default(), shards }
    }
}

impl<S> Registry<S> {
    /// The agent's slot, made if need be.
    pub(super) fn slot(&self, tenant: &Tenant, key: &AgentKey) -> Arc<Slot<S>> {
        let hash = self.hash(tenant, key);
        if let Some(slot) = self.find(hash, tenant, key) {
            return slot;
        }
        let mut shard = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        let rehash = |slot: &Arc<Slot<S>>| self.hash(&slot.tenant, &slot.key);
        let entry = shard.entry(hash, |slot| slot.is(tenant, key), rehash);
        entry.or_insert_with(|| Arc::new(Slot::new(tenant.clone(), key.clone()))).get().clone()
    }

    pub(super) fn known(&self, tenant: &Tenant, key: &AgentKey) -> Option<Arc<Slot<S>>> {
        self.find(self.hash(tenant, key), tenant, key)
    }

    /// Visits all agents; other tasks run in between.
    pub(super) async fn visit(&self, mut visit: impl FnMut(&Arc<Slot<S>>)) {
        for shard in &self.shards {
            shard.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(&mut visit);
            yield_now().await;
        }
    }

    /// Keeps the agents that `stays` wants; other tasks run in between.
    pub(super) async fn retain(&self, mut stays: impl FnMut(&Arc<Slot<S>>) -> bool) {
        for shard in &self.shards {
            self.retain_in(shard, &mut stays);
            yield_now().await;
        }
    }

    pub(super) fn for_each(&self, mut visit: impl FnMut(&Arc<Slot<S>>)) {
        for shard in &self.shards {
            shard.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(&mut visit);
        }
    }

    fn retain_in(
        &self,
        shard: &RwLock<HashTable<Arc<Slot<S>>>>,
        stays: &mut impl FnMut(&Arc<Slot<S>>) -> bool,
    ) {
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        shard.retain(|slot| stays(slot));
        let rehash = |slot: &Arc<Slot<S>>| self.hash(&slot.tenant, &slot.key);
        if shard.capacity() > 4 * shard.len().max(16) {
            shard.shrink_to_fit(rehash);
        }
    }

    fn find(&self, hash: u64, tenant: &Tenant, key: &AgentKey) -> Option<Arc<Slot<S>>> {
        let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
        shard.find(hash, |slot| slot.is(tenant, key)).cloned()
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<Arc<Slot<S>>>> {
        // The table uses the low bits and the top seven; these are others.
        &self.shards[(hash >> 40) as usize % SHARDS]
    }

    fn hash(&self, tenant: &Tenant, key: &AgentKey) -> u64 {
        self.hasher.hash_one((tenant.as_str(), key.as_str()))
    }
}
