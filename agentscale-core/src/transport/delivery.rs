use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::ReplyTo;
use crate::{AgentMessage, Error, Result};

/// What a transport does when a receiver says how a delivery went. Calls return at once.
///
/// One that is dropped without [`ack`](Self::ack), [`nak`](Self::nak) or [`dead_letter`](Self::dead_letter) belongs to
/// a delivery that was dropped: the transport delivers the message again.
pub trait Acknowledge: Send + Sync {
    /// It was handled.
    fn ack(self: Box<Self>);

    /// It could not be handled now; deliver it again after `delay`.
    fn nak(self: Box<Self>, delay: Duration);

    /// It is being handled still.
    fn in_progress(&self);

    /// It can never be handled.
    fn dead_letter(self: Box<Self>, cause: Error);
}

/// A message on its way to a receiver. One that is dropped counts as not acknowledged, and a request as refused.
pub struct Delivery {
    /// The message.
    pub message: AgentMessage,
    /// How many times it was delivered, this one included.
    pub attempt: u32,
    bytes: Option<NonZeroUsize>,
    lends_thread: bool,
    reply_to: Option<ReplyTo>,
    acknowledge: Option<Box<dyn Acknowledge>>,
}

impl Delivery {
    /// A first delivery that waits for nothing.
    pub fn new(message: AgentMessage) -> Self {
        Self { message, attempt: 1, bytes: None, lends_thread: false, reply_to: None, acknowledge: None }
    }

    /// A first delivery of a request.
    pub fn request(message: AgentMessage, reply_to: ReplyTo) -> Self {
        Self { reply_to: Some(reply_to), ..Self::new(message) }
    }

    /// Says that a transport waits for the acknowledgement of this `attempt`.
    #[must_use]
    pub fn with_acknowledge(mut self, acknowledge: Box<dyn Acknowledge>, attempt: u32) -> Self {
        self.acknowledge = Some(acknowledge);
        self.attempt = attempt;
        self
    }

    /// Says how many bytes the message holds where that was found before, so that its body is walked once.
    #[must_use]
    pub fn with_size_hint(mut self, bytes: usize) -> Self {
        self.bytes = NonZeroUsize::new(bytes);
        self
    }

    /// Says that the thread which delivers has nothing else to do until the reply is there, so that a receiver may
    /// begin to handle the message within [`Inbox::deliver`](super::Inbox::deliver).
    #[must_use]
    pub fn lending_thread(mut self) -> Self {
        self.lends_thread = true;
        self
    }

    /// Whether the receiver may begin within [`Inbox::deliver`](super::Inbox::deliver).
    pub fn lends_thread(&self) -> bool {
        self.lends_thread
    }

    /// About how many bytes the message holds, see [`AgentMessage::size_hint`].
    pub fn size_hint(&self) -> usize {
        self.bytes.map_or_else(|| self.message.size_hint(), NonZeroUsize::get)
    }

    /// Answers a request, once; an answer to nobody is dropped and gives `false`.
    pub fn respond(&mut self, reply: Result<AgentMessage>) -> bool {
        self.reply_to.take().is_some_and(|reply_to| reply_to.send(reply))
    }

    /// Takes over the duty to answer.
    pub fn take_reply_to(&mut self) -> Option<ReplyTo> {
        self.reply_to.take()
    }

    /// Whether the delivery still holds the duty to answer.
    pub fn wants_reply(&self) -> bool {
        self.reply_to.is_some()
    }

    /// Whether the requester has gone: its future was dropped or its deadline has passed.
    pub fn is_abandoned(&self) -> bool {
        self.reply_to.as_ref().is_some_and(ReplyTo::is_abandoned)
    }

    /// It was handled.
    pub fn ack(mut self) {
        if let Some(acknowledge) = self.acknowledge.take() {
            acknowledge.ack();
        }
    }

    /// It could not be handled now; the transport delivers it again after `delay`, where it can.
    pub fn nak(mut self, delay: Duration) {
        if let Some(acknowledge) = self.acknowledge.take() {
            acknowledge.nak(delay);
        }
    }

    /// It is being handled still: a transport that waits for the acknowledgement waits on.
    pub fn in_progress(&self) {
        if let Some(acknowledge) = &self.acknowledge {
            acknowledge.in_progress();
        }
    }

    /// It can never be handled.
    pub fn dead_letter(mut self, cause: Error) {
        if let Some(acknowledge) = self.acknowledge.take() {
            acknowledge.dead_letter(cause);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("message", &self.message)
            .field("attempt", &self.attempt)
            .field("wants_reply", &self.wants_reply())
            .finish_non_exhaustive()
    }
}
