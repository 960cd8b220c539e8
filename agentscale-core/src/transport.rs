//! How messages reach agents and subscribers.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{AgentMessage, Error, Result};

mod delivery;
mod direct;
mod encoding;
mod mailbox;
#[cfg(feature = "nats")]
mod nats;
mod reply;
mod subscribe;
mod subscriber;

pub use delivery::{Acknowledge, Delivery};
pub use direct::{DirectTransport, DirectTransportConfig, TransportStats};
pub use encoding::EncodingTransport;
pub use mailbox::MailboxLimits;
#[cfg(feature = "nats")]
pub use nats::{NatsConnection, NatsTransport, NatsTransportConfig};
pub use reply::ReplyTo;
pub use subscribe::{Attachment, Subscription, SubscriptionTarget};
pub use subscriber::{Subscriber, TransportExt};

/// How long a request without a deadline waits for its reply.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What a [`Transport`] can do beyond its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransportCapabilities {
    /// Whether it reaches other processes, so that messages are encoded.
    pub network: bool,
    /// Whether a sent message survives the death of this process.
    pub durable: bool,
    /// The largest message in bytes.
    pub max_message_bytes: usize,
}

impl TransportCapabilities {
    /// A transport within one process.
    pub fn in_process(max_message_bytes: usize) -> Self {
        Self { network: false, durable: false, max_message_bytes }
    }

    /// A transport over a network.
    pub fn network(max_message_bytes: usize) -> Self {
        Self { network: true, durable: false, max_message_bytes }
    }

    /// Sent messages survive the death of this process.
    #[must_use]
    pub fn with_durable(mut self) -> Self {
        self.durable = true;
        self
    }
}

/// Carries messages to agents, which are reached by their type's pool, and to subscribers of topics.
///
/// # For callers
/// `send` goes to exactly one receiver, `publish` to every subscriber of the topic within the message's tenant, and
/// within a queue group to one of its members. `Ok` says that a receiver, or a durable transport, has taken it;
/// it does not say that it was handled.
///
/// # For implementors
/// A request ends by its deadline, and after [`DEFAULT_REQUEST_TIMEOUT`] where it has none. A message is delivered,
/// dead-lettered or counted, never silently gone. A full inbox refuses at once and the transport says so
/// (`overloaded`) or keeps the message for later: who reads from a network never waits for an inbox. A message over
/// the limit is `too_large`, one past its deadline `deadline_exceeded`, one without a receiver `not_found`.
///
/// A delivery of an acknowledged subscription comes again after its `nak`, its drop, or too long a silence, until it is
/// acknowledged or, after a number of attempts, a dead letter with its cause. Requests come once.
/// The promises are the named tests of the conformance suite.
///
/// # Cancel safety
/// A dropped `request` tells the receiver, see [`Delivery::is_abandoned`]; its late reply is dropped and counted.
#[async_trait]
pub trait Transport: Debug + Send + Sync + 'static {
    /// What this transport can do.
    fn capabilities(&self) -> TransportCapabilities;

    /// Hands a message to the pool of the agent that it goes to.
    ///
    /// # Errors
    /// As in the trait's documentation; `invalid_input` for a message that goes to no agent.
    async fn send(&self, message: AgentMessage) -> Result<()>;

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// As for [`send`](Self::send); the receiver's error; `deadline_exceeded`; `unavailable` when the receiver
    /// dropped the request.
    async fn request(&self, message: AgentMessage) -> Result<AgentMessage>;

    /// Hands a message to the subscribers of its topic. A topic without subscribers is no error.
    ///
    /// # Errors
    /// `invalid_input` for a message that goes to no topic; `too_large`; `deadline_exceeded`. A subscriber whose
    /// inbox is full misses the message, which is counted.
    async fn publish(&self, message: AgentMessage) -> Result<()>;

    /// Hands every delivery of a subscription to `inbox`, until the attachment is dropped.
    ///
    /// # Errors
    /// `unavailable` where the transport cannot be reached; `conflict` for a member of a group that acknowledges
    /// otherwise than the others; `unsupported` for an acknowledged subscription outside a tokio runtime.
    async fn attach(&self, subscription: Subscription, inbox: Arc<dyn Inbox>) -> Result<Attachment>;
}

/// Takes deliveries. Called on the transport's own path, so it neither blocks, waits nor panics; it handles a message
/// there only where the [delivery lends its thread](Delivery::lends_thread).
pub trait Inbox: Debug + Send + Sync + 'static {
    /// Takes a delivery or gives it back with the reason.
    ///
    /// # Errors
    /// `overloaded` when there is no room; `too_large` for what never fits; `unavailable` once it is closed.
    fn deliver(&self, delivery: Delivery) -> Result<(), Refused>;
}

/// A delivery that was not taken.
#[derive(Debug)]
pub struct Refused {
    /// The delivery.
    pub delivery: Box<Delivery>,
    /// Why.
    pub error: Error,
}

impl Refused {
    /// A refused delivery.
    pub fn new(delivery: Delivery, error: Error) -> Self {
        Self { delivery: Box::new(delivery), error }
    }
}

macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: Transport + ?Sized> Transport for $pointer<T> {
            fn capabilities(&self) -> TransportCapabilities {
                (**self).capabilities()
            }
            async fn send(&self, message: AgentMessage) -> Result<()> {
                (**self).send(message).await
            }
            async fn request(&self, message: AgentMessage) -> Result<AgentMessage> {
                (**self).request(message).await
            }
            async fn publish(&self, message: AgentMessage) -> Result<()> {
                (**self).publish(message).await
            }
            async fn attach(&self, subscription: Subscription, inbox: Arc<dyn Inbox>) -> Result<Attachment> {
                (**self).attach(subscription, inbox).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
