//! The envelope that every transport carries.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Account, AgentId, AgentKey, AgentType, Error, ErrorKind, IdempotencyKey, Result, Stamp, Tenant, Topic,
};

mod body;
mod chain;
mod id;
mod size;
mod trace;
mod wire;

pub use body::{Body, ContentType};
pub use chain::CallChain;
pub use id::MessageId;
pub use trace::{TraceContext, TraceId};

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageKind {
    /// Waits for a reply.
    Request,
    /// Answers a request.
    Reply,
    /// Waits for nothing.
    Event,
}

/// What goes first when there is not room for all, most urgent first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Priority {
    /// An incident is being handled; background work pauses.
    Incident,
    /// A person waits for it and watches.
    Supervised,
    /// A conversation.
    #[default]
    Conversation,
    /// Planned work.
    Scheduled,
    /// Tidying of memory.
    Consolidation,
    /// Measuring agents.
    Evaluation,
}

impl Priority {
    /// All, most urgent first.
    pub const ALL: [Self; 6] = [
        Self::Incident,
        Self::Supervised,
        Self::Conversation,
        Self::Scheduled,
        Self::Consolidation,
        Self::Evaluation,
    ];

    /// Its place in [`ALL`](Self::ALL), as stores keep it.
    pub fn rank(self) -> u8 {
        self as u8
    }

    /// What has this place.
    pub fn from_rank(rank: u8) -> Option<Self> {
        Self::ALL.get(usize::from(rank)).copied()
    }
}

/// An agent within a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, serde::Deserialize)]
pub struct Address {
    /// Its type.
    #[serde(rename = "type")]
    pub agent_type: AgentType,
    /// Its name among those of its tenant and type.
    pub key: AgentKey,
}

impl Address {
    /// Checks both names.
    ///
    /// # Errors
    /// `invalid_input` for a name that is none.
    pub fn new(agent_type: &str, key: &str) -> Result<Self> {
        Ok(Self { agent_type: agent_type.try_into()?, key: key.try_into()? })
    }

    /// The agent with this address in a tenant.
    pub fn in_tenant(&self, tenant: &Tenant) -> AgentId {
        AgentId { tenant: tenant.clone(), agent_type: self.agent_type.clone(), key: self.key.clone() }
    }
}

impl From<&AgentId> for Address {
    fn from(agent: &AgentId) -> Self {
        Self { agent_type: agent.agent_type.clone(), key: agent.key.clone() }
    }
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Destination {
    /// One agent.
    Agent(Address),
    /// Who subscribed to a topic.
    Topic(Topic),
    /// Who waits for the reply.
    Caller,
}

/// The last moment at which an answer is of use: microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
pub struct Deadline(pub u64);

impl Deadline {
    /// So long after `unix_micros`.
    pub fn after(unix_micros: u64, wait: Duration) -> Self {
        Self(unix_micros.saturating_add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)))
    }

    /// What is left at `unix_micros`; `None` once it has passed.
    pub fn remaining(self, unix_micros: u64) -> Option<Duration> {
        self.0.checked_sub(unix_micros).filter(|left| *left > 0).map(Duration::from_micros)
    }
}

/// A message: the same over every transport.
///
/// Within one process its body is handed over as a shared pointer; it is encoded where it must be, on a network and
/// in a commit. [`AgentMessage::encode`] writes a CloudEvents 1.0 JSON event.
///
/// ```
/// use agentscale_core::{Address, AgentMessage, Destination, HybridClock, Tenant};
///
/// # fn main() -> agentscale_core::Result<()> {
/// let clock = HybridClock::new(1);
/// let to = Destination::Agent(Address::new("researcher", "alice")?);
/// let message = AgentMessage::request(Tenant::new("acme")?, to, "why?".to_owned(), clock.stamp(1_000_000));
/// assert_eq!(*message.body::<String>()?, "why?");
/// assert_eq!(AgentMessage::decode(&message.encode()?)?, message);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AgentMessage(Box<Envelope>);

/// What a message carries. It stands behind a pointer, since a message passes through many hands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Envelope {
    /// Names the message, however often it is sent.
    pub id: MessageId,
    /// What it is for.
    pub kind: MessageKind,
    /// Whose it is.
    pub tenant: Tenant,
    /// To whom its cost is booked.
    pub account: Option<Account>,
    /// The agent that sent it; `None` where that is the host.
    pub from: Option<Address>,
    /// Where it goes.
    pub to: Destination,
    /// The request that it answers or belongs to.
    pub correlation: Option<MessageId>,
    /// What goes first.
    pub priority: Priority,
    /// Until when it is of use.
    pub deadline: Option<Deadline>,
    /// Chosen by the caller, so that a repeated request has its effect once.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Causal order.
    pub stamp: Stamp,
    /// The asks that led here, so that a cycle is found.
    pub chain: CallChain,
    /// W3C trace context.
    pub trace: Option<Box<TraceContext>>,
    /// The version of the body's shape.
    pub schema_version: u16,
    body: Body,
}

impl AgentMessage {
    /// A message of any kind; its id takes its time from `stamp`.
    pub fn new(kind: MessageKind, tenant: Tenant, to: Destination, body: Body, stamp: Stamp) -> Self {
        Self(Box::new(Envelope {
            id: MessageId::new(stamp.unix_micros()),
            kind,
            tenant,
            account: None,
            from: None,
            to,
            correlation: None,
            priority: Priority::default(),
            deadline: None,
            idempotency_key: None,
            stamp,
            chain: CallChain::default(),
            trace: None,
            schema_version: 1,
            body,
        }))
    }

    /// A request.
    pub fn request<T: Serialize + Send + Sync + 'static>(
        tenant: Tenant,
        to: Destination,
        body: T,
        stamp: Stamp,
    ) -> Self {
        Self::new(MessageKind::Request, tenant, to, Body::new(body), stamp)
    }

    /// An event.
    pub fn event<T: Serialize + Send + Sync + 'static>(
        tenant: Tenant,
        to: Destination,
        body: T,
        stamp: Stamp,
    ) -> Self {
        Self::new(MessageKind::Event, tenant, to, Body::new(body), stamp)
    }

    /// The reply to this message.
    pub fn reply(&self, body: Body, stamp: Stamp) -> Self {
        let mut reply = Self::new(MessageKind::Reply, self.tenant.clone(), Destination::Caller, body, stamp);
        reply.correlation = Some(self.id);
        reply.account.clone_from(&self.account);
        reply.priority = self.priority;
        reply.trace.clone_from(&self.trace);
        if let Destination::Agent(address) = &self.to {
            reply.from = Some(address.clone());
        }
        reply
    }

    /// Sets the idempotency key.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: IdempotencyKey) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the account.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// The body: shared when it was sent as `T` within this process, decoded otherwise.
    ///
    /// # Errors
    /// `invalid_input` for a body of another shape.
    pub fn body<T: DeserializeOwned + Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.body.get()
    }

    /// The body by itself.
    pub fn into_body(self) -> Body {
        self.0.body
    }

    /// The body as it is carried.
    pub fn raw_body(&self) -> &Body {
        &self.body
    }

    /// The agent it goes to, if it goes to one.
    pub fn receiver(&self) -> Option<AgentId> {
        match &self.to {
            Destination::Agent(address) => Some(address.in_tenant(&self.tenant)),
            _ => None,
        }
    }

    /// About how many bytes it holds: the header's size and the body's estimate.
    pub fn size_hint(&self) -> usize {
        size_of::<Envelope>() + self.body.size_hint()
    }

    /// The time left at `unix_micros`: `default` where there is no deadline.
    ///
    /// # Errors
    /// `deadline_exceeded` once the deadline has passed.
    pub fn time_left(&self, unix_micros: u64, default: Duration) -> Result<Duration> {
        match self.deadline {
            None => Ok(default),
            Some(deadline) => deadline.remaining(unix_micros).ok_or_else(|| {
                Error::new(ErrorKind::DeadlineExceeded, "deliver message").with_context("message", self.id)
            }),
        }
    }

    /// The message as a CloudEvents JSON event.
    ///
    /// # Errors
    /// `invalid_input` for a body that cannot be encoded.
    pub fn encode(&self) -> Result<bytes::Bytes> {
        wire::encode(self)
    }

    /// The reverse of [`AgentMessage::encode`].
    ///
    /// # Errors
    /// `corrupt` for bytes that are no message.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        wire::decode(bytes)
    }
}

impl Deref for AgentMessage {
    type Target = Envelope;

    fn deref(&self) -> &Envelope {
        &self.0
    }
}

impl DerefMut for AgentMessage {
    fn deref_mut(&mut self) -> &mut Envelope {
        &mut self.0
    }
}

const _: () = assert!(size_of::<Envelope>() <= 320, "every message holds one");
