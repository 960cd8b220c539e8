//! Waiting for events: few connections, each blocked on all streams that somebody waits for.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::runs::EventId;
use agentscale_core::{Error, ErrorKind, MessageId, Result};
use futures::FutureExt;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisResult, Value, cmd};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::watched::{Came, Watched};
use super::{RedisRunStreamsConfig, pack, scripts};
use crate::redis_link::RedisLink;

/// How long Redis is asked to block. A connection that nobody answers on is found out after so long.
const BLOCK: Duration = Duration::from_secs(5);

/// What is left between two calls for readers to come back, for each stream: many wait again in one call then.
const PAUSE: Duration = Duration::from_nanos(500);

/// All connections that wait; a stream belongs to one of them.
pub(super) struct Tails(Vec<Tail>);

struct Tail {
    watched: Arc<Watched>,
    task: JoinHandle<()>,
}

impl Tails {
    pub(super) fn new(
        client: &Client,
        link: &RedisLink,
        namespace: &str,
        config: &RedisRunStreamsConfig,
    ) -> Self {
        let tail = |_| {
            let watched = Arc::<Watched>::default();
            let waker = Waker {
                link: link.clone(),
                stream: format!("{namespace}:wake:{}", MessageId::new(0)),
                seen: "0-0".to_owned(),
            };
            let waiter =
                Waiter { client: client.clone(), wait: config.wait, watched: watched.clone(), waker };
            Tail { watched, task: tokio::spawn(waiter.run()) }
        };
        Self((0..config.tails).map(tail).collect())
    }

    /// Waits until a stream has something behind an id.
    ///
    /// # Errors
    /// `unavailable` where Redis fails meanwhile.
    pub(super) async fn wait(&self, stream: &str, after: Option<EventId>) -> Result<()> {
        // The name ends in a hash.
        let place = stream.bytes().rev().take(4).fold(0, |sum, byte| sum * 31 + usize::from(byte));
        let watched = &self.0[place % self.0.len()].watched;
        match watched.add(stream, after.unwrap_or_default()).came().await {
            Came::Events => Ok(()),
            Came::Failure => Err(Error::new(ErrorKind::Unavailable, "await events")),
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Waiter {
    client: Client,
    wait: Duration,
    watched: Arc<Watched>,
    waker: Waker,
}

impl Waiter {
    async fn run(mut self) {
        let mut connection = None;
        loop {
            // Those of whom it was told so far are in the list.
            let _ = self.watched.added().now_or_never();
            let streams = self.watched.all();
            if streams.is_empty() {
                self.watched.added().await;
                continue;
            }
            let reply = match connection.take() {
                Some(open) => Ok(open),
                None => self.connect().await,
            };
            let reply = match reply {
                Ok(mut open) => self.block(&mut open, &streams).await.map(|reply| (open, reply)),
                Err(error) => Err(error),
            };
            match reply {
                Ok((open, reply)) => {
                    connection = Some(open);
                    self.tell(reply);
                    let streams = u32::try_from(streams.len()).unwrap_or(u32::MAX);
                    sleep(PAUSE * streams).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "redis failed");
                    self.watched.failed();
                }
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let connect = self.client.get_multiplexed_async_connection_with_config(&config);
        in_time(self.wait, connect).await
    }

    /// Waits for events of any of the streams; ends early where one is added.
    async fn block(
        &self,
        connection: &mut MultiplexedConnection,
        streams: &[(Arc<str>, EventId)],
    ) -> Result<Value> {
        let command = self.command(streams);
        let mut reply = Box::pin(in_time(BLOCK + self.wait, command.query_async(connection)));
        loop {
            tokio::select! {
                reply = &mut reply => return reply,
                () = self.watched.added() => self.waker.wake().await,
            }
        }
    }

    fn command(&self, streams: &[(Arc<str>, EventId)]) -> Cmd {
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(1).arg("BLOCK").arg(BLOCK.as_millis() as u64).arg("STREAMS");
        command.arg(&self.waker.stream);
        for (name, _) in streams {
            command.arg(&name[..]);
        }
        command.arg(&self.waker.seen);
        for (_, after) in streams {
            command.arg(pack::after(*after));
        }
        command
    }

    fn tell(&mut self, reply: Value) {
        for (name, id) in scripts::streams(reply) {
            match id {
                Some(id) if name == self.waker.stream => self.waker.seen = id,
                _ => self.watched.came(&name),
            }
        }
    }
}

/// A stream of the process's own, on which a blocked connection waits too.
struct Waker {
    link: RedisLink,
    stream: String,
    seen: String,
}

impl Waker {
    /// Ends a blocked call.
    async fn wake(&self) {
        const WAKE: &str = r"
            redis.call('XADD', KEYS[1], 'MAXLEN', 1, '*', 'w', '')
            redis.call('PEXPIRE', KEYS[1], 60000)";
        let mut command = cmd("EVAL");
        command.arg(WAKE).arg(1).arg(&self.stream);
        // Where it fails, so does the blocked call, or it ends by itself.
        let _ = self.link.ask::<()>(&command).await;
    }
}

async fn in_time<T>(wait: Duration, answer: impl Future<Output = RedisResult<T>>) -> Result<T> {
    let unavailable = || Error::new(ErrorKind::Unavailable, "await events");
    match timeout(wait, answer).await {
        Ok(answer) => answer.map_err(|native| unavailable().with_source(native)),
        Err(_) => Err(unavailable().with_context("reason", "no answer in time")),
    }
}
