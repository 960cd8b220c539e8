//! A turn that failed: its caller is told, an event is tried again or becomes a dead letter.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::{DeadLetter, OutboxMessage};
use agentscale_core::transport::{Delivery, ReplyTo};
use agentscale_core::{AgentMessage, Error, ErrorKind, Retry};
use tokio::time::sleep;

use super::AgentPool;
use super::slot::Queued;
use super::woken::Woken;
use crate::agent::Agent;
use crate::stats::count;

impl<A: Agent> Woken<A> {
    pub(super) async fn failed(&mut self, queued: Queued, reply_to: Option<ReplyTo>, error: Error) {
        // What the turn did to the state is not committed: the next message loads again.
        self.activation = None;
        let counters = &self.pool.runtime.counters;
        count(match error.kind() {
            ErrorKind::Cancelled => &counters.cancelled,
            ErrorKind::DeadlineExceeded => &counters.expired,
            _ => &counters.failed,
        });
        let message = &queued.delivery.message;
        tracing::debug!(agent_type = %self.pool.agent_type, message = %message.id, %error, "turn failed");
        match reply_to {
            Some(reply_to) => {
                // A caller that has gone needs no answer.
                reply_to.send(Err(error));
                queued.delivery.ack();
            }
            None => self.pool.try_again(queued, error).await,
        }
    }
}

impl<A: Agent> AgentPool<A> {
    async fn try_again(self: &Arc<Self>, queued: Queued, error: Error) {
        let supervision = &self.runtime.config.supervision;
        let attempt = queued.delivery.attempt;
        if is_final(&error) || attempt >= supervision.max_attempts {
            return self.bury(queued.delivery, &error).await;
        }
        if self.runtime.stop.is_cancelled() {
            // What is committed in an outbox is sent again at the next start.
            return queued.delivery.nak(Duration::ZERO);
        }
        let pool = self.clone();
        let wait = supervision.wait_after(attempt);
        self.runtime.tasks.spawn(async move {
            tokio::select! {
                () = sleep(wait) => pool.deliver_again(queued).await,
                () = pool.runtime.stop.cancelled() => queued.delivery.nak(Duration::ZERO),
            }
        });
    }

    async fn deliver_again(self: &Arc<Self>, mut queued: Queued) {
        queued.delivery.attempt += 1;
        if let Err(refused) = self.enqueue(queued) {
            let outbox = &self.runtime.outbox;
            if outbox.is_outstanding(refused.delivery.message.id) {
                outbox.send_later(refused.delivery.message.id);
            } else {
                self.bury(*refused.delivery, &refused.error).await;
            }
        }
    }

    /// Keeps a message that could not be handled: in the store, else with the transport; it is counted and logged.
    async fn bury(&self, delivery: Delivery, error: &Error) {
        count(&self.runtime.counters.dead_lettered);
        let message = &delivery.message;
        tracing::warn!(agent_type = %self.agent_type, message = %message.id, %error, "dead letter");
        if let Some(store) = &self.runtime.store {
            let kept = match self.letter(message, delivery.attempt, error) {
                Ok(letter) => store.bury(letter).await,
                Err(error) => Err(error),
            };
            match kept {
                Ok(()) => {
                    self.runtime.outbox.forget(message.id);
                }
                Err(error) => {
                    tracing::error!(message = %message.id, %error, "dead letter not kept");
                    self.runtime.outbox.send_later(message.id);
                }
            }
        }
        delivery.dead_letter(error.clone());
    }

    fn letter(
        &self,
        message: &AgentMessage,
        attempts: u32,
        error: &Error,
    ) -> agentscale_core::Result<DeadLetter> {
        let sender = message.from.as_ref().map(|from| from.in_tenant(&message.tenant));
        let from = sender
            .or_else(|| message.receiver())
            .ok_or_else(|| Error::new(ErrorKind::Internal, "bury message"))?;
        let encoded = OutboxMessage { id: message.id, message: message.encode()? };
        Ok(DeadLetter::new(from, encoded, attempts, error.to_string()))
    }
}

/// Whether another attempt can only give the same error.
fn is_final(error: &Error) -> bool {
    match error.retry() {
        Retry::Exhausted => true,
        Retry::Later => false,
        _ => !matches!(
            error.kind(),
            ErrorKind::Internal | ErrorKind::Fenced | ErrorKind::Conflict | ErrorKind::Cancelled
        ),
    }
}
