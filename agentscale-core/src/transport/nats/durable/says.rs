use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::attempts::{Attempts, Failure};
use super::{Durable, exhausted, nak};
use crate::transport::Acknowledge;
use crate::transport::nats::dead::DeadLetter;
use crate::transport::nats::outgoing::{Frame, Outgoing};
use crate::{AgentMessage, Error};

/// What the receiver of one delivery says. A late `ack` of an earlier one counts: the message was handled.
pub(super) struct Says {
    outgoing: Outgoing,
    attempts: Arc<Attempts>,
    sequence: u64,
    delivered: u32,
    attempt: u32,
    max_deliveries: u32,
    acknowledge: String,
    message: AgentMessage,
    settled: bool,
}

impl Says {
    pub(super) fn new(
        durable: &Durable,
        attempts: &Arc<Attempts>,
        sequence: u64,
        attempt: u32,
        delivered: u32,
        acknowledge: String,
        message: &AgentMessage,
    ) -> Self {
        Self {
            outgoing: durable.outgoing.clone(),
            attempts: attempts.clone(),
            sequence,
            delivered,
            attempt,
            max_deliveries: durable.config.max_deliveries,
            acknowledge,
            message: message.clone(),
            settled: false,
        }
    }

    fn say(&self, word: Bytes) {
        self.outgoing.put(Frame::Acknowledge { subject: self.acknowledge.clone(), word });
    }

    fn bury(&self, cause: Error) {
        self.attempts.end(self.sequence);
        self.outgoing.put(Frame::Bury(Box::new(DeadLetter {
            message: self.message.clone(),
            cause,
            acknowledge: self.acknowledge.clone(),
        })));
    }

    fn fail(&self, reason: &'static str, delay: Duration) {
        match self.attempts.failed(self.sequence, self.delivered, reason) {
            Failure::Replaced => {}
            Failure::Attempt if self.attempt >= self.max_deliveries => {
                self.bury(exhausted(reason, self.attempt));
            }
            Failure::Attempt | Failure::Refused => self.say(nak(delay)),
        }
    }
}

impl Acknowledge for Says {
    fn ack(mut self: Box<Self>) {
        self.settled = true;
        self.attempts.end(self.sequence);
        self.say(Bytes::from_static(b"+ACK"));
    }

    fn nak(mut self: Box<Self>, delay: Duration) {
        self.settled = true;
        self.fail("given back", delay);
    }

    fn in_progress(&self) {
        if self.attempts.is_newest(self.sequence, self.delivered) {
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
