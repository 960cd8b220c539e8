use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{
    Attachment, DEFAULT_REQUEST_TIMEOUT, Delivery, Inbox, MailboxLimits, ReplyTo, Subscription, Transport,
    TransportCapabilities,
};
use crate::time::{Clock, SystemClock};
use crate::{AgentMessage, Destination, Error, ErrorKind, Result};

mod group;
mod redelivery;
mod routes;
mod stats;

use redelivery::{Redelivery, Sweeper};
use routes::Routes;
pub use stats::TransportStats;

/// Options of a [`DirectTransport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DirectTransportConfig {
    /// The largest message in bytes, by its size hint: 8 MiB by default.
    pub max_message_bytes: usize,
    /// How often an acknowledged subscription is given a message before it is a dead letter: 5 by default.
    pub max_deliveries: u32,
    /// How long an acknowledged delivery may be silent, and how long one that is refused waits, before it comes
    /// again: 30 s by default.
    pub ack_wait: Duration,
    /// How much may wait for its acknowledgement at once, beyond which senders are refused: 65,536 messages and
    /// 256 MiB by default.
    pub unacknowledged: MailboxLimits,
    /// How many dead letters are kept, the oldest going first: 1,024 by default.
    pub dead_letters: usize,
}

impl Default for DirectTransportConfig {
    fn default() -> Self {
        Self {
            max_message_bytes: 8 << 20,
            max_deliveries: 5,
            ack_wait: Duration::from_secs(30),
            unacknowledged: MailboxLimits::new(65_536, 256 << 20),
            dead_letters: 1_024,
        }
    }
}

/// Hands messages over within one process: nothing is encoded and no task stands between sender and inbox.
///
/// A cheap handle; clones share their subscriptions. A task that belongs to the transport delivers again what was not
/// acknowledged; it starts with the first acknowledged subscription and ends with the transport.
///
/// # Panics
/// `request` waits on tokio's timers and panics where it is polled outside a runtime with time enabled.
#[derive(Clone, Debug)]
pub struct DirectTransport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: DirectTransportConfig,
    clock: Arc<dyn Clock>,
    routes: Arc<Routes>,
    redelivery: Arc<Redelivery>,
    sweeper: Sweeper,
}

impl DirectTransport {
    /// A transport without subscriptions.
    pub fn new() -> Self {
        Self::with_config(DirectTransportConfig::default())
    }

    /// A transport with other limits.
    pub fn with_config(config: DirectTransportConfig) -> Self {
        Self::with_clock(config, Arc::new(SystemClock::new()))
    }

    /// A transport that reads deadlines by another clock.
    pub fn with_clock(config: DirectTransportConfig, clock: Arc<dyn Clock>) -> Self {
        let redelivery = Arc::new(Redelivery::new(&config));
        let (routes, sweeper) = (Arc::default(), Sweeper::default());
        Self { shared: Arc::new(Shared { config, clock, routes, redelivery, sweeper }) }
    }

    /// What became of messages that did not simply arrive.
    pub fn stats(&self) -> TransportStats {
        self.shared.redelivery.counters.read()
    }

    /// The newest dead letters with their cause, oldest first.
    pub fn dead_letters(&self) -> Vec<(AgentMessage, Error)> {
        self.shared.redelivery.dead_letters()
    }

    /// The message's bytes and the time that is left for it.
    fn check(&self, message: &AgentMessage) -> Result<(usize, Duration)> {
        let bytes = message.size_hint();
        if bytes > self.shared.config.max_message_bytes {
            return Err(Error::new(ErrorKind::TooLarge, "send message")
                .with_context("bytes", bytes)
                .with_context("limit", self.shared.config.max_message_bytes));
        }
        let left = match message.deadline {
            None => DEFAULT_REQUEST_TIMEOUT,
            Some(_) => message.time_left(self.shared.clock.unix_micros(), DEFAULT_REQUEST_TIMEOUT)?,
        };
        Ok((bytes, left))
    }

    /// Hands a request over: gives where its reply comes and how long to wait for it.
    fn ask(&self, message: AgentMessage) -> Result<(oneshot::Receiver<Result<AgentMessage>>, Duration)> {
        let (bytes, wait) = self.check(&message)?;
        let (requester, reply) = oneshot::channel();
        let late = self.shared.redelivery.counters.late_replies.clone();
        let reply_to = ReplyTo::new(requester).counting_late(late);
        let delivery = Delivery::request(message, reply_to).with_size_hint(bytes).lending_thread();
        self.hand_over(delivery)?;
        Ok((reply, wait))
    }

    fn hand_over(&self, delivery: Delivery) -> Result<()> {
        let Destination::Agent(address) = &delivery.message.to else {
            return Err(Error::new(ErrorKind::InvalidInput, "send message")
                .with_context("reason", "goes to no agent"));
        };
        let Some(pool) = self.shared.routes.pool(&address.agent_type) else {
            return Err(
                Error::new(ErrorKind::NotFound, "send message").with_context("pool", &address.agent_type)
            );
        };
        pool.deliver(delivery, &self.shared.redelivery)
            .inspect_err(|_| count(&self.shared.redelivery.counters.refused))
    }
}

impl Default for DirectTransport {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Transport for DirectTransport {
    fn capabilities(&self) -> TransportCapabilities {
        TransportCapabilities::in_process(self.shared.config.max_message_bytes)
    }

    async fn send(&self, message: AgentMessage) -> Result<()> {
        let (bytes, _) = self.check(&message)?;
        self.hand_over(Delivery::new(message).with_size_hint(bytes))
    }

    async fn request(&self, message: AgentMessage) -> Result<AgentMessage> {
        let id = message.id;
        let (mut reply, wait) = self.ask(message)?;
        // Many a reply is there already, and needs no timer. Boxed: every request makes this future.
        let reply = match futures::poll!(&mut reply) {
            Poll::Ready(reply) => Ok(reply),
            Poll::Pending => Box::pin(timeout(wait, reply)).await,
        };
        let failed = |kind| Err(Error::new(kind, "wait for reply").with_context("message", id));
        match reply {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => failed(ErrorKind::Unavailable),
            Err(_) => failed(ErrorKind::DeadlineExceeded),
        }
    }

    async fn publish(&self, message: AgentMessage) -> Result<()> {
        let (bytes, _) = self.check(&message)?;
        let Destination::Topic(topic) = &message.to else {
            return Err(Error::new(ErrorKind::InvalidInput, "publish message")
                .with_context("reason", "goes to no topic"));
        };
        for group in self.shared.routes.topic(&message.tenant, topic) {
            let delivery = Delivery::new(message.clone()).with_size_hint(bytes);
            if group.deliver(delivery, &self.shared.redelivery).is_err() {
                count(&self.shared.redelivery.counters.missed);
            }
        }
        Ok(())
    }

    async fn attach(&self, subscription: Subscription, inbox: Arc<dyn Inbox>) -> Result<Attachment> {
        let Shared { clock, routes, redelivery, sweeper, .. } = self.shared.as_ref();
        if subscription.acknowledged {
            sweeper.ensure(redelivery, routes, clock)?;
        }
        routes.attach(subscription, inbox)
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
