//! States in a Redis, behind the memory of several processes.

mod value;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::Result;
use agentscale_core::checkpoint::Field;
use agentscale_core::layers::CircuitBreakerConfig;
use redis::Cmd;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::states::StateKey;
use crate::redis_link::{self, RedisLink, check};

/// What errors say was attempted.
const OPERATION: &str = "hold states in redis";

/// States that wait to be sent, at most.
const QUEUE: usize = 64;

/// How states are held in a Redis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RedisStatesConfig {
    /// How long a state is held, whole seconds from 1 s to 24 h. Default 30 min.
    pub ttl: Duration,
    /// How long a load waits for Redis before it goes on to the store. Default 50 ms.
    pub wait: Duration,
    /// Larger states are not sent; 64 times as much may wait to be. Default 1 MiB.
    pub value_bytes: usize,
    /// When Redis is left alone, and how long. Default: after 5 failures in a row, for 5 s.
    pub breaker: CircuitBreakerConfig,
}

impl Default for RedisStatesConfig {
    fn default() -> Self {
        let breaker =
            CircuitBreakerConfig { open_for: Duration::from_secs(5), ..CircuitBreakerConfig::default() };
        let (ttl, wait) = (Duration::from_secs(1_800), Duration::from_millis(50));
        Self { ttl, wait, value_bytes: 1 << 20, breaker }
    }
}

/// What went wrong with a Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisStatesStats {
    /// Questions and states that failed or were not answered in time. While the breaker is open nothing is asked.
    pub failures: u64,
    /// States that were not what their name says, by their checksum.
    pub damaged: u64,
    /// States that were not sent because too many were waiting.
    pub left_out: u64,
}

/// A Redis behind a [`CachedCheckpointStore`](super::CachedCheckpointStore), for processes that load what others
/// committed.
///
/// States go there in the background: those that a commit left and those that came from the store. Each is held under a
/// hash of its never-changing name, with a checksum over name and bytes, for a bounded time; a thread's deletion leaves its
/// last states there so long. Redis is never needed: what it does not give within its wait comes from the store.
///
/// Clones share the connection, which reconnects by itself. `rediss://` speaks TLS by rustls on ring, with the roots of the
/// system.
#[derive(Clone)]
pub struct RedisStates {
    shared: Arc<Shared>,
}

struct Shared {
    redis: Redis,
    value_bytes: usize,
    namespace: String,
    queue: mpsc::Sender<Waiting>,
    sender: JoinHandle<()>,
}

/// What the task is to do, in this order.
enum Waiting {
    State(String, Arc<[Field]>),
    Flush(oneshot::Sender<()>),
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

impl RedisStates {
    /// Holds states in the Redis of a URL (`redis://`, `rediss://`), for the one database that `namespace` names. Connects
    /// when it is first asked. Called within a tokio runtime.
    ///
    /// # Errors
    /// `invalid_input` for a URL that is none, a time out of its bounds, an empty namespace.
    pub fn new(url: &str, namespace: impl Into<String>, config: &RedisStatesConfig) -> Result<Self> {
        let namespace = namespace.into();
        check(!namespace.is_empty(), OPERATION, "namespace")?;
        let is_ttl = config.ttl >= Duration::from_secs(1) && config.ttl <= Duration::from_secs(86_400);
        check(is_ttl, OPERATION, "ttl")?;
        let client = redis_link::client(url, OPERATION)?;
        let link = RedisLink::new(client, "redis states", config.wait, &config.breaker, OPERATION)?;
        let redis = Redis { link, ttl: config.ttl, counts: Arc::default() };
        let (queue, waiting) = mpsc::channel(QUEUE);
        let sender = tokio::spawn(send(redis.clone(), waiting));
        let value_bytes = config.value_bytes;
        Ok(Self { shared: Arc::new(Shared { redis, value_bytes, namespace, queue, sender }) })
    }

    /// What went wrong since it was made.
    pub fn stats(&self) -> RedisStatesStats {
        let counts = &self.shared.redis.counts;
        RedisStatesStats {
            failures: self.shared.redis.link.failures(),
            damaged: counts.damaged.load(Ordering::Relaxed),
            left_out: counts.left_out.load(Ordering::Relaxed),
        }
    }

    /// Waits until the states that were to be sent before have been sent or given up.
    pub async fn flush(&self) {
        let (sent, answer) = oneshot::channel();
        if self.shared.queue.send(Waiting::Flush(sent)).await.is_ok() {
            // A task that ended has nothing left to send.
            let _ = answer.await;
        }
    }

    pub(super) async fn state(&self, key: &StateKey) -> Option<Vec<Field>> {
        let redis = &self.shared.redis;
        let name = value::name(&self.shared.namespace, key);
        let found: Vec<u8> = redis.link.ask::<Option<Vec<u8>>>(&Cmd::get(&name)).await.ok()??;
        let fields = value::decode(&name, &found);
        if fields.is_none() {
            redis.counts.damaged.fetch_add(1, Ordering::Relaxed);
        }
        fields
    }

    /// Sends a state, later, where there is room to remember that.
    pub(super) fn offer(&self, key: &StateKey, fields: &Arc<[Field]>) {
        if value::bytes(fields) > self.shared.value_bytes {
            return;
        }
        let name = value::name(&self.shared.namespace, key);
        if self.shared.queue.try_send(Waiting::State(name, fields.clone())).is_err() {
            self.shared.redis.counts.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for RedisStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStates").field("namespace", &self.shared.namespace).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Redis {
    link: RedisLink,
    ttl: Duration,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    damaged: AtomicU64,
    left_out: AtomicU64,
}

/// Sends what is waiting. Ends with the last clone of its states.
async fn send(redis: Redis, mut waiting: mpsc::Receiver<Waiting>) {
    while let Some(next) = waiting.recv().await {
        match next {
            Waiting::State(name, fields) => {
                let value = value::encode(&name, &fields);
                // A failure is counted where it happens; the state is in the store.
                let _ = redis.link.ask::<()>(&Cmd::set_ex(&name, value, redis.ttl.as_secs())).await;
            }
            // Whoever asked may have gone.
            Waiting::Flush(sent) => drop(sent.send(())),
        }
    }
}
