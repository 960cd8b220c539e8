use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{AgentId, MessageId};

/// An encoded message that leaves after its commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// The id of the message, which it keeps however often it is sent.
    pub id: MessageId,
    /// The encoded [`AgentMessage`](crate::AgentMessage).
    pub message: Bytes,
}

/// A message that was committed and not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxEntry {
    /// The thread whose commit holds it.
    pub from: AgentId,
    /// The message.
    pub message: OutboxMessage,
    /// How many attempts were recorded.
    pub attempts: u32,
}

impl OutboxEntry {
    /// An entry.
    pub fn new(from: AgentId, message: OutboxMessage, attempts: u32) -> Self {
        Self { from, message, attempts }
    }
}

/// How many attempts of a message were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// Attempts, the one just recorded included.
    pub attempts: u32,
}

/// Where a listing of messages goes on; its meaning is the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxCursor(pub i64);

/// Some of the messages that were committed and not settled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutboxPage {
    /// The entries, oldest first.
    pub entries: Vec<OutboxEntry>,
    /// Where to go on; `None` behind the last one.
    pub next: Option<OutboxCursor>,
}

impl OutboxPage {
    /// A page.
    pub fn new(entries: Vec<OutboxEntry>, next: Option<OutboxCursor>) -> Self {
        Self { entries, next }
    }
}

/// A message that could not be handled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The agent that sent it; the receiver itself where the sender is not an agent.
    pub from: AgentId,
    /// The message.
    pub message: OutboxMessage,
    /// How many attempts there were.
    pub attempts: u32,
    /// The last error, as text.
    pub cause: String,
    only_if_pending: bool,
}

impl DeadLetter {
    /// A dead letter.
    pub fn new(from: AgentId, message: OutboxMessage, attempts: u32, cause: impl Into<String>) -> Self {
        Self { from, message, attempts, cause: cause.into(), only_if_pending: false }
    }

    /// Buries the message only if it stands in the outbox still: one that is gone was handled, or is a dead letter
    /// already.
    #[must_use]
    pub fn only_if_pending(mut self) -> Self {
        self.only_if_pending = true;
        self
    }

    /// Whether it is buried only if it stands in the outbox. Stores do not keep this.
    pub fn is_only_if_pending(&self) -> bool {
        self.only_if_pending
    }
}

/// Some of the dead letters.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeadLetterPage {
    /// The letters, oldest first.
    pub letters: Vec<DeadLetter>,
    /// Where to go on; `None` behind the last one.
    pub next: Option<OutboxCursor>,
}

impl DeadLetterPage {
    /// A page.
    pub fn new(letters: Vec<DeadLetter>, next: Option<OutboxCursor>) -> Self {
        Self { letters, next }
    }
}
