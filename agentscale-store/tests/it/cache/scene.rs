//! Nodes that share a Redis.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::{MessageId, Tenant};
use agentscale_store::cache::{
    Cache, CacheConfig, CacheKey, CachePolicy, CachedType, Invalidation, InvalidationBus, NodeCache,
    RedisCache, RedisCacheConfig, Tag, TagKind,
};

/// A node and its cache of answers, which are held both in memory and in Redis.
pub(crate) struct Node {
    pub(crate) node: NodeCache,
    pub(crate) answers: Cache<String>,
}

pub(crate) fn namespace() -> String {
    format!("test-{}", MessageId::new(1))
}

pub(crate) fn redis(url: &str, namespace: &str) -> RedisCache {
    let mut config = RedisCacheConfig::default();
    // A busy machine is no failure.
    config.wait = Duration::from_secs(5);
    RedisCache::new(url, namespace, &config).expect("the configuration works")
}

/// Nothing but a message makes an entry void, and nothing is asked.
pub(crate) fn by_message() -> CacheConfig {
    let mut config = CacheConfig::default();
    config.check_every = Duration::from_secs(1_800);
    config.stale_at_most = Duration::from_secs(3_600);
    config
}

/// What was lost is found out soon.
pub(crate) fn by_checks() -> CacheConfig {
    let mut config = CacheConfig::default();
    config.check_every = Duration::from_millis(10);
    config.stale_at_most = Duration::from_millis(50);
    config
}

pub(crate) fn node(redis: RedisCache, config: CacheConfig, bus: Option<Arc<dyn InvalidationBus>>) -> Node {
    let builder = NodeCache::builder(config).with_redis(redis);
    let node =
        bus.into_iter().fold(builder, |builder, bus| builder.with_bus(bus)).build().expect("it is set up");
    let minutes = Duration::from_secs(300);
    let policy = CachePolicy::new().with_in_process(minutes).with_shared(minutes);
    let answers = node.named("answers", policy, Invalidation::ByKey).expect("a new name");
    Node { node, answers }
}

impl Node {
    /// The answer of a key that uses a file of the same name.
    pub(crate) async fn ask(&self, name: &str, answer: &str) -> String {
        let compute = |_| async { Ok(answer.to_owned()) };
        let answer = self.answers.get_or_compute(&key(name), &[file(name)], compute).await;
        (*answer.expect("it is computed")).clone()
    }

    pub(crate) async fn get(&self, name: &str) -> Option<String> {
        self.answers.get(&key(name)).await.map(|answer| (*answer).clone())
    }

    pub(crate) fn sessions(&self) -> Cache<String> {
        self.node.of(CachedType::Sessions).expect("a new name")
    }
}

pub(crate) fn acme() -> Tenant {
    Tenant::new("acme").expect("a name")
}

pub(crate) fn key(name: &str) -> CacheKey {
    CacheKey::new(&acme(), name)
}

pub(crate) fn file(name: &str) -> Tag {
    Tag::new(&acme(), TagKind::File, name)
}

/// Waits until something is so, as long as a busy machine may need.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: not within 30 s");
}

/// Waits until a node follows messages.
pub(crate) async fn follows(by: &Node, other: &Node) {
    let probe = file("probe");
    until("messages come", async || {
        let _ = by.node.changed(std::slice::from_ref(&probe)).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        other.node.stats().changed_elsewhere > 0
    })
    .await;
}
