//! Committed messages on their way: handed over after their commit, sent again until their receiver has taken them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentscale_core::checkpoint::{CheckpointStore, OutboxEntry};
use agentscale_core::{AgentMessage, Destination, ErrorKind, MessageId, Result, Transport};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::stats::{Counters, count};

const PAGE: usize = 256;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Outbox {
    transport: Arc<dyn Transport>,
    store: Option<Arc<dyn CheckpointStore>>,
    counters: Arc<Counters>,
    /// Messages of the store's outbox that stand in a mailbox or are being handled.
    outstanding: Mutex<HashSet<MessageId>>,
    /// Something of the store's outbox waits to be sent.
    left_behind: Notify,
}

impl Outbox {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        store: Option<Arc<dyn CheckpointStore>>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { transport, store, counters, outstanding: Mutex::default(), left_behind: Notify::new() }
    }

    /// After a turn that handled `id`: it is settled, and what the turn sent leaves. `store` holds what was sent.
    pub(crate) async fn leave(
        &self,
        id: MessageId,
        sent: Vec<AgentMessage>,
        store: Option<&Arc<dyn CheckpointStore>>,
    ) {
        if self.forget(id) && store.is_none() {
            self.settle(id).await;
        }
        for message in sent {
            match store {
                Some(_) => self.send_committed(message).await,
                None => self.send_uncommitted(message).await,
            }
        }
    }

    /// Whether the store's outbox holds a message that this runtime was given.
    pub(crate) fn is_outstanding(&self, id: MessageId) -> bool {
        self.outstanding().contains(&id)
    }

    /// The message is settled or a dead letter.
    pub(crate) fn forget(&self, id: MessageId) -> bool {
        let mut outstanding = self.outstanding();
        !outstanding.is_empty() && outstanding.remove(&id)
    }

    /// The message found no room; it is sent again with what else is left behind.
    pub(crate) fn send_later(&self, id: MessageId) {
        self.forget(id);
        self.left_behind.notify_one();
    }

    /// Sends what the store's outbox holds at the start, and later what found no room, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let Some(store) = self.store.clone() else { return };
        let mut wait = Duration::ZERO;
        loop {
            let sent = tokio::select! {
                () = stop.cancelled() => return,
                sent = async {
                    sleep(wait).await;
                    self.send_pending(store.as_ref()).await
                } => sent,
            };
            match sent {
                Ok(true) => {
                    wait = FIRST_WAIT;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.left_behind.notified() => {}
                    }
                }
                Ok(false) => wait = (wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT),
                Err(error) => {
                    tracing::warn!(%error, "outbox not read");
                    wait = (wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
                }
            }
        }
    }

    /// Sends every pending message that is not on its way, and says whether all were taken.
    async fn send_pending(&self, store: &dyn CheckpointStore) -> Result<bool> {
        let (mut all_taken, mut after) = (true, None);
        loop {
            let page = store.pending_outbox(after, PAGE).await?;
            for entry in page.entries {
                all_taken &= self.send_entry(&entry).await;
            }
            after = page.next;
            if after.is_none() {
                return Ok(all_taken);
            }
        }
    }

    /// Sends one entry; `false` where it must be sent again.
    pub(crate) async fn send_entry(&self, entry: &OutboxEntry) -> bool {
        if self.is_outstanding(entry.message.id) {
            return true;
        }
        match AgentMessage::decode(&entry.message.message) {
            Ok(message) => self.hand_over(message).await,
            Err(error) => {
                tracing::error!(message = %entry.message.id, %error, "outbox message cannot be read, it stays");
                true
            }
        }
    }

    async fn send_committed(&self, message: AgentMessage) {
        if !self.hand_over(message).await {
            self.left_behind.notify_one();
        }
    }

    /// Hands a committed message over; `false` where it must be sent again.
    async fn hand_over(&self, message: AgentMessage) -> bool {
        let id = message.id;
        let is_event = matches!(message.to, Destination::Topic(_));
        if is_event {
            let published = self.transport.publish(message).await;
            if published.is_ok() {
                self.settle(id).await;
            }
            return self.judge(id, published);
        }
        // Before the send: its receiver may commit before `send` returns.
        self.outstanding().insert(id);
        let sent = self.transport.send(message).await;
        if sent.is_err() {
            self.forget(id);
        } else if self.transport.capabilities().durable {
            self.forget(id);
            self.settle(id).await;
        }
        self.judge(id, sent)
    }

    fn judge(&self, id: MessageId, sent: Result<()>) -> bool {
        match sent {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(message = %id, %error, "committed message not taken");
                // A pool that this runtime does not have, or a message past its time, does not come by waiting.
                matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::DeadlineExceeded | ErrorKind::TooLarge
                )
            }
        }
    }

    async fn send_uncommitted(&self, message: AgentMessage) {
        let id = message.id;
        let sent = match &message.to {
            Destination::Topic(_) => self.transport.publish(message).await,
            _ => self.transport.send(message).await,
        };
        if let Err(error) = sent {
            count(&self.counters.undeliverable);
            tracing::warn!(message = %id, %error, "message of an agent that keeps nothing is lost");
        }
    }

    async fn settle(&self, id: MessageId) {
        let Some(store) = &self.store else { return };
        if let Err(error) = store.settle_outbox(vec![id]).await {
            // It stays in the outbox and is sent again at the next start, under the same id.
            tracing::warn!(message = %id, %error, "outbox message not settled");
        }
    }

    fn outstanding(&self) -> std::sync::MutexGuard<'_, HashSet<MessageId>> {
        self.outstanding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
