//! A turn that failed: its caller is told, an event is tried again or becomes a dead letter.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::{DeadLetter, OutboxMessage};
use agentscale_core::transport::{Delivery, ReplyTo};
use agentscale_core::{AgentMessage, Error, ErrorKind, Result, Retry};
use tokio::time::sleep;

use super::AgentPool;
use super::slot::Queued;
use crate::agent::Agent;
use crate::emission::Emission;
use crate::patience::within;
use crate::stats::count;

impl<A: Agent> AgentPool<A> {
    /// What the turn did to the state went with its activation: the next message loads again.
    pub(super) async fn failed(self: &Arc<Self>, queued: Queued, reply_to: Option<ReplyTo>, error: Error) {
        let counters = &self.runtime.counters;
        count(match error.kind() {
            ErrorKind::Cancelled => &counters.cancelled,
            ErrorKind::DeadlineExceeded => &counters.expired,
            _ => &counters.failed,
        });
        let message = &queued.delivery.message;
        self.observe_failure(message, &error);
        tracing::debug!(agent_type = %self.agent_type, message = %message.id, %error, "turn failed");
        match reply_to {
            Some(reply_to) => {
                queued.emission.end(Some(&error));
                // A caller that has gone needs no answer.
                reply_to.send(Err(error));
                queued.delivery.ack();
            }
            None => self.try_again(queued, error).await,
        }
    }

    async fn try_again(self: &Arc<Self>, queued: Queued, error: Error) {
        if self.runtime.is_stopped() {
            return self.cut_off(queued.delivery, &error).await;
        }
        let supervision = &self.runtime.config.supervision;
        let attempt = queued.delivery.attempt;
        if self.is_final(&queued.delivery.message, &error) || attempt >= supervision.max_attempts {
            queued.emission.end(Some(&error));
            return self.bury(queued.delivery, &error).await;
        }
        let wait = supervision.wait_after(attempt).max(error.retry_after().unwrap_or_default());
        let pool = self.clone();
        let again = async move { pool.deliver_again(queued, wait, &error).await };
        self.runtime.tasks.spawn_on(again, &self.runtime.tokio);
    }

    /// Waits and puts the message into its agent's mailbox again; a full one is waited for.
    async fn deliver_again(self: &Arc<Self>, mut queued: Queued, wait: Duration, error: &Error) {
        queued.delivery.attempt += 1;
        queued.emission = Emission::default();
        loop {
            tokio::select! {
                () = sleep(wait) => {}
                () = self.runtime.stop.cancelled() => return self.cut_off(queued.delivery, error).await,
            }
            match self.enqueue(queued) {
                Ok(()) => return,
                Err((back, _)) => queued = back,
            }
        }
    }

    /// The runtime stops. What stands in the store's outbox is sent again at the next start; what does not is kept
    /// as a dead letter where the stop is an orderly one.
    async fn cut_off(&self, delivery: Delivery, error: &Error) {
        if self.runtime.outbox.holds(delivery.message.id) || !self.runtime.is_draining() {
            return delivery.nak(Duration::ZERO);
        }
        self.bury(delivery, error).await;
    }

    /// Keeps a message that could not be handled: in the store, else with the transport; it is counted and logged.
    async fn bury(&self, delivery: Delivery, error: &Error) {
        count(&self.runtime.counters.dead_lettered);
        let message = &delivery.message;
        self.observe_dead_letter(message, error);
        tracing::warn!(agent_type = %self.agent_type, message = %message.id, %error, "dead letter");
        if let Some(store) = &self.runtime.store {
            let patience = self.runtime.patience();
            let kept = match self.letter(message, delivery.attempt, error) {
                Ok(letter) => within(patience, "bury message", store.bury(letter)).await,
                Err(error) => Err(error),
            };
            let outbox = &self.runtime.outbox;
            match kept {
                Ok(()) => outbox.settled(message.id),
                Err(error) => {
                    tracing::error!(message = %message.id, %error, "dead letter not kept");
                    if outbox.holds(message.id) {
                        outbox.leave_behind(&[message.id]);
                    }
                }
            }
        }
        delivery.dead_letter(error.clone());
    }

    fn letter(&self, message: &AgentMessage, attempts: u32, error: &Error) -> Result<DeadLetter> {
        let sender = message.from.as_ref().map(|from| from.in_tenant(&message.tenant));
        let from = sender
            .or_else(|| message.receiver())
            .ok_or_else(|| Error::new(ErrorKind::Internal, "bury message"))?;
        let encoded = OutboxMessage { id: message.id, message: message.encode()? };
        let letter = DeadLetter::new(from, encoded, attempts, error.to_string());
        Ok(if self.runtime.stands_in_outbox(message) { letter.only_if_pending() } else { letter })
    }

    /// Whether another attempt can only give the same error.
    fn is_final(&self, message: &AgentMessage, error: &Error) -> bool {
        let is_late =
            || message.deadline.is_some_and(|it| it.remaining(self.runtime.clock.unix_micros()).is_none());
        match error.retry() {
            // A layer has used up its quick retries; the attempts of an event are further apart.
            Retry::Later | Retry::Exhausted => is_late(),
            _ => !matches!(
                error.kind(),
                ErrorKind::Internal | ErrorKind::Fenced | ErrorKind::Conflict | ErrorKind::Cancelled
            ),
        }
    }
}
