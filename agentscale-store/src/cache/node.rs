use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use agentscale_core::metrics::Metrics;
use agentscale_core::time::{Clock, SystemClock};
use agentscale_core::{Error, ErrorKind, MessageId, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use super::config::OPERATION;
use super::core::Core;
use super::flight::SingleFlight;
use super::link::Link;
use super::memory::Memory;
use super::shared::SharedLayer;
use super::stats::NodeCounts;
use super::tags::Tags;
use super::untold::Untold;
use super::{
    Cache, CacheConfig, CachePolicy, CachedType, Invalidation, InvalidationBus, NodeCacheStats, RateCounters,
    Tag, tasks,
};

/// How far a change was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reach {
    /// To all nodes. One that misses the message finds out by itself.
    Everywhere,
    /// Only here. Redis is told as soon as it answers; without Redis, nobody else is.
    Here,
}

/// All caches of one node, within one bound of bytes. Clones are the same.
#[derive(Clone)]
pub struct NodeCache {
    core: Arc<Core>,
    _tasks: Arc<Tasks>,
}

#[derive(Debug, Default)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Sets up a [`NodeCache`].
#[derive(Debug)]
#[must_use]
pub struct NodeCacheBuilder {
    config: CacheConfig,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    layer: Option<Arc<dyn SharedLayer>>,
    bus: Option<Arc<dyn InvalidationBus>>,
}

impl NodeCache {
    /// A cache of one process.
    ///
    /// # Errors
    /// `invalid_input` with the `field` that cannot work.
    pub fn new(config: CacheConfig) -> Result<Self> {
        Self::builder(config).build()
    }

    /// A cache with what else it needs.
    pub fn builder(config: CacheConfig) -> NodeCacheBuilder {
        let (clock, metrics) = (Arc::new(SystemClock::new()), Metrics::new());
        NodeCacheBuilder { config, clock, metrics, layer: None, bus: None }
    }

    /// The cache of one of the seven types of data.
    ///
    /// # Errors
    /// `conflict` where this node holds values of another type under that name.
    pub fn of<V>(&self, cached: CachedType) -> Result<Cache<V>>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        self.named(cached.name(), self.core.config.policies.of(cached), cached.invalidation())
    }

    /// A cache of the host's own. Nodes that share entries use the same name for the same type.
    ///
    /// # Errors
    /// `invalid_input` for a name that is not of 1 to 64 lowercase letters, digits and underscores; `conflict` where this
    /// node holds values of another type under it.
    pub fn named<V>(&self, name: &str, policy: CachePolicy, invalidation: Invalidation) -> Result<Cache<V>>
    where
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_name) {
            return Err(Error::new(ErrorKind::InvalidInput, OPERATION).with_context("field", "name"));
        }
        let (name, number) = self.number(name, TypeId::of::<V>())?;
        Cache::new(self.clone(), name, number, policy, invalidation)
    }

    /// What counts against limits, within the window of [`CachedType::RateCounters`]. Each call makes counters of this
    /// node's own; keep them.
    pub fn counters(&self) -> RateCounters {
        RateCounters::new(&self.core)
    }

    /// Says that things changed: what used them is void, here at once, on other nodes as soon as they are told. Call it
    /// behind the change.
    ///
    /// # Cancel safety
    /// From the first poll on the change holds here, and Redis is told also where this is dropped.
    pub async fn changed(&self, tags: &[Tag]) -> Reach {
        let ids: Vec<_> = tags.iter().map(|tag| tag.id).collect();
        self.core.change(&ids).await
    }

    /// Forgets all entries in memory.
    pub fn clear(&self) {
        self.core.void();
    }

    /// What it did, and what it holds.
    pub fn stats(&self) -> NodeCacheStats {
        let (entries, bytes) = self.core.memory.size();
        let untold = self.core.untold.count() as u64;
        NodeCacheStats { untold, entries, bytes, ..self.core.counts.read() }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    fn number(&self, name: &str, values: TypeId) -> Result<(Arc<str>, u32)> {
        let mut names = self.core.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, (number, held))) = names.get_key_value(name) {
            if *held == values {
                return Ok((Arc::clone(known), *number));
            }
            let error = Error::new(ErrorKind::Conflict, OPERATION);
            return Err(error
                .with_context("cache", name)
                .with_context("reason", "it has values of another type"));
        }
        let number = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let name: Arc<str> = name.into();
        names.insert(Arc::clone(&name), (number, values));
        Ok((name, number))
    }
}

impl NodeCacheBuilder {
    /// Sets the clock by which entries age; the system's unless given.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Records into `metrics`.
    pub fn with_metrics(mut self, metrics: &Metrics) -> Self {
        self.metrics = metrics.clone();
        self
    }

    /// Sets what carries changes to other nodes: in place of Redis' own channels, or alone.
    ///
    /// Alone, a message that gets lost is not noticed: what it made void is given until its time is over.
    pub fn with_bus(mut self, bus: Arc<dyn InvalidationBus>) -> Self {
        self.bus = Some(bus);
        self
    }

    #[cfg(any(feature = "redis", test))]
    pub(super) fn with_layer(mut self, layer: Arc<dyn SharedLayer>) -> Self {
        self.layer = Some(layer);
        self
    }

    /// Sets it up. With Redis or a bus this is called within a tokio runtime.
    ///
    /// # Errors
    /// `invalid_input` with the `field` that cannot work; `conflict` where a name of a metric is taken by another.
    pub fn build(self) -> Result<NodeCache> {
        self.config.check()?;
        let bus = self.bus.or_else(|| self.layer.as_ref().map(|layer| layer.bus()));
        let core = Arc::new(Core {
            memory: Memory::new(self.config.bytes),
            counts: NodeCounts::new(&self.metrics)?,
            tags: Tags::default(),
            link: Link::default(),
            flights: SingleFlight::new(),
            layer: self.layer,
            bus,
            untold: Untold::default(),
            metrics: self.metrics,
            names: Mutex::new(HashMap::new()),
            lost: tokio::sync::Notify::new(),
            // Of 64 random bits two nodes have the same once in a lifetime.
            sender: MessageId::new(self.clock.unix_micros()).as_uuid().as_u64_pair().1,
            clock: self.clock,
            config: self.config,
        });
        let mut running = Vec::new();
        if let Some(bus) = &core.bus {
            running.push(tokio::spawn(tasks::listen(Arc::clone(&core), Arc::clone(bus))));
        }
        if let Some(layer) = &core.layer {
            running.push(tokio::spawn(tasks::check(Arc::clone(&core), Arc::clone(layer))));
        }
        Ok(NodeCache { core, _tasks: Arc::new(Tasks(running)) })
    }
}

impl fmt::Debug for NodeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeCache").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
