use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::attempts::{Attempts, Failure};
use super::{Durable, LEAVING, exhausted, nak};
use crate::transport::Acknowledge;
use crate::transport::nats::dead::DeadLetter;
use crate::transport::nats::outgoing::{Frame, Outgoing};
use crate::{AgentMessage, Error};

/// What the receiver of one delivery says. A late `ack` of an earlier one counts: the message was handled.
pub(super) struct Says {
    outgoing: Outgoing,
    attempts: Arc<Attempts>,
    delivered: Delivered,
    max_deliveries: u32,
    message: AgentMessage,
    /// Whether the attachment has ended.
    stopped: Arc<AtomicBool>,
    settled: bool,
}

/// Which delivery it is.
pub(super) struct Delivered {
    pub(super) sequence: u64,
    pub(super) attempt: u32,
    /// By the stream's count.
    pub(super) delivered: u32,
    pub(super) acknowledge: String,
}

impl Says {
    pub(super) fn new(
        durable: &Durable,
        attempts: &Arc<Attempts>,
        delivered: Delivered,
        message: &AgentMessage,
    ) -> Self {
        Self {
            outgoing: durable.outgoing.clone(),
            attempts: attempts.clone(),
            delivered,
            max_deliveries: durable.config.max_deliveries,
            message: message.clone(),
            stopped: durable.stopped.clone(),
            settled: false,
        }
    }

    fn say(&self, word: Bytes) {
        self.outgoing.put(Frame::Acknowledge { subject: self.delivered.acknowledge.clone(), word });
    }

    fn bury(&self, cause: Error) {
        self.attempts.end(self.delivered.sequence);
        self.outgoing.put(Frame::Bury(Box::new(DeadLetter {
            message: self.message.clone(),
            cause,
            acknowledge: self.delivered.acknowledge.clone(),
        })));
    }

    fn fail(&self, reason: &'static str, delay: Duration) {
        let Delivered { sequence, delivered, attempt, .. } = self.delivered;
        let delay = if self.stopped.load(Ordering::Acquire) { delay.max(LEAVING) } else { delay };
        match self.attempts.failed(sequence, delivered, reason) {
            Failure::Replaced => {}
            Failure::Attempt if attempt >= self.max_deliveries => {
                self.bury(exhausted(reason, attempt));
            }
            Failure::Attempt | Failure::Refused => self.say(nak(delay)),
        }
    }
}

impl Acknowledge for Says {
    fn ack(mut self: Box<Self>) {
        self.settled = true;
        self.attempts.end(self.delivered.sequence);
        self.say(Bytes::from_static(b"+ACK"));
    }

    fn nak(mut self: Box<Self>, delay: Duration) {
        self.settled = true;
        self.fail("given back", delay);
    }

    fn in_progress(&self) {
        if self.attempts.is_newest(self.delivered.sequence, self.delivered.delivered) {
            self.say(Bytes::from_static(b"+WPI"));
        }
    }

    fn dead_letter(mut self: Box<Self>, cause: Error) {
        self.settled = true;
        self.bury(cause);
    }
}

impl Drop for Says {
    fn drop(&mut self) {
        if !self.settled {
            self.fail("dropped", Duration::ZERO);
        }
    }
}
