//! Streams of runs in a Redis.

mod pack;
mod scripts;
mod tail;
mod watched;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::layers::CircuitBreakerConfig;
use agentscale_core::runs::{
    AppendEvents, Epoch, OpenRun, ReadEvents, RunId, RunPage, RunStreamLimits, ended, from_the_future, stale,
};
use agentscale_core::{Error, ErrorKind, Result, RunStreams};
use async_trait::async_trait;
use redis::{Cmd, FromRedisValue};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use crate::redis_link::{self, RedisLink, check};
use scripts::{Answer, Place, Scripts};
use tail::Tails;

/// What errors say was attempted.
const OPERATION: &str = "keep run streams in redis";

/// How streams of runs are kept in a Redis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RedisRunStreamsConfig {
    /// Of each stream. All processes have the same.
    pub limits: RunStreamLimits,
    /// How long an operation waits for Redis before it fails; beyond the wait of a read for events. Default 2 s.
    pub wait: Duration,
    /// Connections on which the readers of this process wait for events, 1 to 64; all that wait share them. Default 2.
    pub tails: usize,
    /// When Redis is left alone, and how long. Default: after 5 failures in a row, for 1 s.
    pub breaker: CircuitBreakerConfig,
}

impl Default for RedisRunStreamsConfig {
    fn default() -> Self {
        let breaker =
            CircuitBreakerConfig { open_for: Duration::from_secs(1), ..CircuitBreakerConfig::default() };
        Self { limits: RunStreamLimits::default(), wait: Duration::from_secs(2), tails: 2, breaker }
    }
}

/// Streams of runs in a Redis that processes share: whoever writes a run, each of them can follow it.
///
/// One server, 7 or newer, or the primary of a group; not a Redis Cluster. A run is a Redis stream and a small hash beside
/// it, both with the time that is left. A Redis that loses or evicts them loses what was emitted so far, which readers
/// learn as a gap; its memory is bounded by its own `maxmemory`, for which `volatile-ttl` fits. Names are hashes behind
/// the namespace; events are readable to who may read that Redis.
///
/// One connection is shared by all that is written and read, and [`tails`](RedisRunStreamsConfig::tails) more by all who
/// wait, however many; each comes back by itself. While Redis is gone operations are `unavailable`, and those who wait are
/// told so.
///
/// Epochs are those below 2^52 of an incarnation below 4,096; others are `invalid_input`.
#[derive(Clone)]
pub struct RedisRunStreams {
    shared: Arc<Shared>,
}

struct Shared {
    link: RedisLink,
    scripts: Scripts,
    tails: Tails,
    limits: RunStreamLimits,
}

impl RedisRunStreams {
    /// Keeps streams in the Redis of a URL (`redis://`, `rediss://`), for those processes that have the same `namespace`.
    /// Connects when it is first asked. Called within a tokio runtime.
    ///
    /// # Errors
    /// `invalid_input` for a URL that is none, a limit that cannot work, an empty namespace.
    pub fn new(url: &str, namespace: &str, config: &RedisRunStreamsConfig) -> Result<Self> {
        check(!namespace.is_empty(), OPERATION, "namespace")?;
        check((1..=64).contains(&config.tails), OPERATION, "tails")?;
        config.limits.check()?;
        let client = redis_link::client(url, OPERATION)?;
        let link =
            RedisLink::new(client.clone(), "redis run streams", config.wait, &config.breaker, OPERATION)?;
        let tails = Tails::new(&client, &link, namespace, config);
        let scripts = Scripts::new(namespace, &config.limits);
        let limits = config.limits.clone();
        Ok(Self { shared: Arc::new(Shared { link, scripts, tails, limits }) })
    }

    /// Questions that failed or were not answered in time. While the breaker is open nothing is asked.
    pub fn failures(&self) -> u64 {
        self.shared.link.failures()
    }

    async fn ask<T: FromRedisValue>(&self, operation: &'static str, command: &Cmd) -> Result<T> {
        self.shared.link.ask(command).await.map_err(|error| unavailable(operation, error))
    }

    /// What stands behind an id now; `None` where the stream does not exist.
    async fn look(&self, place: &Place, request: &ReadEvents) -> Result<Option<RunPage>> {
        let command = self.shared.scripts.read(place, request.after, request.limit);
        let Some(found) = self.ask("read events", &command).await? else { return Ok(None) };
        let found = scripts::decode(found)?;
        match request.after {
            Some(after) if after > found.last => Err(from_the_future(&request.run, after, found.last)),
            after => Ok(Some(RunPage::new(after, found.floor, found.last, found.ended, found.events))),
        }
    }
}

#[async_trait]
impl RunStreams for RedisRunStreams {
    fn limits(&self) -> &RunStreamLimits {
        &self.shared.limits
    }

    async fn open(&self, request: OpenRun) -> Result<u64> {
        let command = self.shared.scripts.open(&request)?;
        match self.ask("open run", &command).await.and_then(scripts::answer)? {
            Answer::Done(next) => Ok(next),
            other => Err(refused("open run", &request.run, &other)),
        }
    }

    async fn append(&self, request: AppendEvents) -> Result<()> {
        request.check(&self.shared.limits)?;
        let command = self.shared.scripts.append(&request)?;
        match self.ask("append events", &command).await.and_then(scripts::answer)? {
            Answer::Done(_) => Ok(()),
            other => Err(refused("append events", &request.run, &other)),
        }
    }

    async fn renew(&self, run: &RunId, epoch: Epoch) -> Result<()> {
        let command = self.shared.scripts.renew(run, epoch)?;
        match self.ask("renew run", &command).await.and_then(scripts::answer)? {
            Answer::Done(_) => Ok(()),
            other => Err(refused("renew run", run, &other)),
        }
    }

    async fn read(&self, request: ReadEvents) -> Result<RunPage> {
        let place = self.shared.scripts.place(&request.run);
        let now = Instant::now();
        let until = now.checked_add(request.wait).unwrap_or(now + self.shared.limits.ttl);
        loop {
            let page = self.look(&place, &request).await?;
            let says_something = page.as_ref().is_some_and(|page| page.ended || !page.items.is_empty());
            if !says_something && request.wait > Duration::ZERO {
                // It waits behind the same id, so that what came since the look wakes it.
                let came = self.shared.tails.wait(&place.events, request.after);
                if let Ok(came) = timeout_at(until, came).await {
                    came?;
                    continue;
                }
            }
            return page.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, "read events").with_context("run", &request.run)
            });
        }
    }
}

impl fmt::Debug for RedisRunStreams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRunStreams").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

fn refused(operation: &'static str, run: &RunId, answer: &Answer) -> Error {
    match answer {
        Answer::Stale(newest) => stale(operation, run, *newest),
        Answer::Ended => ended(run),
        Answer::Gone | Answer::Done(_) => Error::new(ErrorKind::NotFound, operation).with_context("run", run),
    }
}

/// A Redis that is left alone is as one that does not answer.
fn unavailable(operation: &'static str, error: Error) -> Error {
    let after = error.retry_after();
    let unavailable = Error::new(ErrorKind::Unavailable, operation).with_source(error);
    match after {
        Some(after) => unavailable.with_retry_after(after),
        None => unavailable,
    }
}
