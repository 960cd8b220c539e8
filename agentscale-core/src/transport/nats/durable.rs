//! One acknowledged attachment: deliveries of a stream, which keeps each until it is acknowledged or a dead letter.

mod attempts;
mod says;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::config::NatsTransportConfig;
use super::counters::Counters;
use super::dead::DeadLetter;
use super::fault::fault;
use super::member::{Channel, read};
use super::outgoing::{Frame, Outgoing};
use crate::transport::{Delivery, Inbox};
use crate::{Error, ErrorKind, Result};
use attempts::Attempts;
use says::{Delivered, Says};
pub(super) use stream::Source;

/// How long one question for messages stands.
const PULL: Duration = Duration::from_secs(30);
/// Before what a leaving member gives back comes again: its own question for messages has ended by then.
const LEAVING: Duration = Duration::from_millis(100);
/// Before a stream that failed is asked again.
const PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Durable {
    pub(super) jetstream: Context,
    pub(super) source: Source,
    pub(super) channel: Channel,
    pub(super) config: NatsTransportConfig,
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) counters: Arc<Counters>,
    pub(super) outgoing: Outgoing,
    pub(super) stopped: Arc<AtomicBool>,
}

impl Durable {
    /// Makes the stream and the consumer where they are missing.
    ///
    /// # Errors
    /// `unsupported` for a server without JetStream, else `unavailable`.
    pub(super) async fn ensure(&self) -> Result<()> {
        self.source.consumer(&self.jetstream, &self.config).await.map(drop)
    }

    /// Delivers until `stop`; what was fetched and not delivered is for the other members at once.
    pub(super) async fn run(self, mut stop: oneshot::Receiver<()>) {
        let attempts = Arc::new(Attempts::default());
        loop {
            let served = tokio::select! {
                biased;
                _ = &mut stop => break,
                served = self.serve(&attempts) => served,
            };
            if let Err(error) = served {
                tracing::warn!(%error, stream = self.source.stream, "a stream is asked again");
            }
            tokio::select! {
                biased;
                _ = &mut stop => break,
                () = sleep(PAUSE) => {}
            }
        }
        self.source.leave(&self.jetstream).await;
    }

    /// Asks for messages until that fails.
    async fn serve(&self, attempts: &Arc<Attempts>) -> Result<()> {
        let failed = "read stream";
        let consumer = self.source.consumer(&self.jetstream, &self.config).await?;
        let mut messages = Fetched {
            messages: consumer
                .stream()
                .max_messages_per_batch(usize::from(self.config.prefetch))
                .expires(PULL)
                .heartbeat(PULL / 3)
                .messages()
                .await
                .map_err(fault(failed))?,
            outgoing: self.outgoing.clone(),
        };
        while let Some(message) = messages.messages.next().await {
            let message = message.map_err(fault(failed))?;
            if self.stopped.load(Ordering::Acquire) {
                give_back(&self.outgoing, &message);
                return Ok(());
            }
            self.take(&message, attempts);
        }
        Ok(())
    }

    fn take(&self, message: &jetstream::Message, attempts: &Arc<Attempts>) {
        let Some(acknowledge) = message.reply.as_ref().map(ToString::to_string) else { return };
        let Ok((sequence, delivered)) = message
            .info()
            .map(|info| (info.stream_sequence, u32::try_from(info.delivered).unwrap_or(u32::MAX)))
        else {
            self.counters.add(&self.counters.malformed);
            return;
        };
        let headers = message.headers.clone().unwrap_or_default();
        let decoded = match read(self.channel, &message.subject, &headers, message.payload.clone()) {
            Ok(decoded) => decoded,
            Err(error) => {
                // Nobody could ever handle it, and no dead letter could hold what is no message.
                self.counters.add(&self.counters.malformed);
                tracing::warn!(%error, subject = %message.subject, "a stream holds what is no message");
                self.outgoing
                    .put(Frame::Acknowledge { subject: acknowledge, word: Bytes::from_static(b"+TERM") });
                return;
            }
        };
        let (attempt, last_fault) = attempts.begin(sequence, delivered);
        if attempt > self.config.max_deliveries {
            attempts.end(sequence);
            let cause = exhausted(last_fault.unwrap_or("silent"), attempt - 1);
            self.outgoing.put(Frame::Bury(Box::new(DeadLetter { message: decoded, cause, acknowledge })));
            return;
        }
        if attempt > 1 {
            self.counters.add(&self.counters.redelivered);
        }
        let says =
            Says::new(self, attempts, Delivered { sequence, attempt, delivered, acknowledge }, &decoded);
        let delivery = Delivery::new(decoded).with_acknowledge(Box::new(says), attempt);
        if let Err(refused) = self.inbox.deliver(delivery) {
            self.counters.add(&self.counters.refused);
            attempts.refused(sequence);
            // It never fits, or there is no room for now.
            match refused.error.kind() {
                ErrorKind::TooLarge => refused.delivery.dead_letter(refused.error),
                _ => refused.delivery.nak(self.config.full_wait),
            }
        }
    }
}

/// Messages that were fetched; those that nobody took are given back at once.
struct Fetched {
    messages: jetstream::consumer::pull::Stream,
    outgoing: Outgoing,
}

impl Drop for Fetched {
    fn drop(&mut self) {
        while let Some(Some(Ok(message))) = self.messages.next().now_or_never() {
            give_back(&self.outgoing, &message);
        }
    }
}

fn give_back(outgoing: &Outgoing, message: &jetstream::Message) {
    if let Some(reply) = &message.reply {
        outgoing.put(Frame::Acknowledge { subject: reply.to_string(), word: nak(LEAVING) });
    }
}

/// JetStream's word for *deliver it again after this delay*.
fn nak(delay: Duration) -> Bytes {
    if delay.is_zero() {
        return Bytes::from_static(b"-NAK");
    }
    format!("-NAK {{\"delay\":{}}}", delay.as_nanos()).into()
}

fn exhausted(reason: &'static str, attempts: u32) -> Error {
    Error::new(ErrorKind::Unavailable, "deliver message")
        .with_context("reason", reason)
        .with_context("attempts", attempts)
}
