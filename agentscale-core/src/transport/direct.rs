use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{
    Attachment, DEFAULT_REQUEST_TIMEOUT, Delivery, Inbox, Subscription, Transport, TransportCapabilities,
};
use crate::time::{Clock, SystemClock};
use crate::{AgentMessage, Destination, Error, ErrorKind, Result};

mod redelivery;
mod routes;
mod stats;

use redelivery::Redelivery;
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
    /// How long an acknowledged delivery may be silent before it comes again: 30 s by default.
    pub ack_wait: Duration,
    /// How many dead letters are kept, the oldest going first: 1,024 by default.
    pub dead_letters: usize,
}

impl Default for DirectTransportConfig {
    fn default() -> Self {
        Self {
            max_message_bytes: 8 << 20,
            max_deliveries: 5,
            ack_wait: Duration::from_secs(30),
            dead_letters: 1_024,
        }
    }
}

/// Hands messages over within one process: nothing is encoded and no task stands between sender and inbox.
///
/// A cheap handle; clones share their subscriptions.
#[derive(Clone, Debug)]
pub struct DirectTransport {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: DirectTransportConfig,
    clock: Arc<dyn Clock>,
    routes: Routes,
    redelivery: Arc<Redelivery>,
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
        Self { shared: Arc::new(Shared { config, clock, routes: Routes::default(), redelivery }) }
    }

    /// What became of messages that no receiver took.
    pub fn stats(&self) -> TransportStats {
        self.shared.redelivery.stats()
    }

    /// The newest dead letters with their cause, oldest first.
    pub fn dead_letters(&self) -> Vec<(AgentMessage, Error)> {
        self.shared.redelivery.dead_letters()
    }

    fn check(&self, message: &AgentMessage, default: Duration) -> Result<Duration> {
        let bytes = message.size_hint();
        if bytes > self.shared.config.max_message_bytes {
            return Err(Error::new(ErrorKind::TooLarge, "send message")
                .with_context("bytes", bytes)
                .with_context("limit", self.shared.config.max_message_bytes));
        }
        if message.deadline.is_none() {
            return Ok(default);
        }
        message.time_left(self.shared.clock.unix_micros(), default)
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
        pool.deliver(delivery, &self.shared.redelivery).map_err(|refused| refused.error)
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
        self.check(&message, DEFAULT_REQUEST_TIMEOUT)?;
        self.hand_over(Delivery::new(message))
    }

    async fn request(&self, message: AgentMessage) -> Result<AgentMessage> {
        let wait = self.check(&message, DEFAULT_REQUEST_TIMEOUT)?;
        let id = message.id;
        let (reply_to, reply) = oneshot::channel();
        self.hand_over(Delivery::request(message, reply_to))?;
        let failed = |kind| Err(Error::new(kind, "wait for reply").with_context("message", id));
        match timeout(wait, reply).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) => failed(ErrorKind::Unavailable),
            Err(_) => failed(ErrorKind::DeadlineExceeded),
        }
    }

    async fn publish(&self, message: AgentMessage) -> Result<()> {
        self.check(&message, DEFAULT_REQUEST_TIMEOUT)?;
        let Destination::Topic(topic) = &message.to else {
            return Err(Error::new(ErrorKind::InvalidInput, "publish message")
                .with_context("reason", "goes to no topic"));
        };
        for group in self.shared.routes.topic(&message.tenant, topic) {
            // A subscriber without room misses the message; `deliver` has counted it.
            let _ = group.deliver(Delivery::new(message.clone()), &self.shared.redelivery);
        }
        Ok(())
    }

    async fn attach(&self, subscription: Subscription, inbox: Arc<dyn Inbox>) -> Result<Attachment> {
        Ok(self.shared.routes.attach(subscription, inbox))
    }
}
