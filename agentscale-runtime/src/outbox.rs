//! What leaves after a commit, and what stays in the store's outbox until its receiver has taken it.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::{CheckpointStore, DeadLetter, OutboxCursor, OutboxEntry};
use agentscale_core::{AgentMessage, Clock, Destination, Error, MessageId, Result, Retry, Transport};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::patience::within;
use crate::stats::{Counters, count};

mod ledger;

use ledger::Ledger;

const PAGE: usize = 256;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// At most one copy of a message is on its way. A turn enters what it sends in the ledger before its commit; from
/// then on the pass over the store's outbox sends only what is left behind, and what an earlier process left.
#[derive(Debug)]
pub(crate) struct Outbox {
    transport: Arc<dyn Transport>,
    store: Option<Arc<dyn CheckpointStore>>,
    clock: Arc<dyn Clock>,
    /// The node of this runtime's stamps: messages of others were sent before it started.
    node: u64,
    patience: Duration,
    counters: Arc<Counters>,
    ledger: Ledger,
    left_behind: Notify,
}

/// How a pass over the store's outbox went.
struct Passed {
    any_left: bool,
    any_sent: bool,
}

impl Outbox {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        store: Option<Arc<dyn CheckpointStore>>,
        clock: Arc<dyn Clock>,
        node: u64,
        patience: Duration,
        counters: Arc<Counters>,
    ) -> Self {
        let (ledger, left_behind) = (Ledger::default(), Notify::new());
        Self { transport, store, clock, node, patience, counters, ledger, left_behind }
    }

    /// A turn is about to commit these messages.
    pub(crate) fn expect(&self, sent: &[AgentMessage]) {
        if !sent.is_empty() {
            self.ledger.on_its_way(sent.iter().map(|message| message.id));
        }
    }

    /// They were not committed.
    pub(crate) fn forget_all(&self, ids: &[MessageId]) {
        for id in ids {
            self.ledger.forget(*id);
        }
    }

    /// They may stand in the store's outbox, and wait to be sent again.
    pub(crate) fn leave_behind(&self, ids: &[MessageId]) {
        if !ids.is_empty() {
            self.ledger.leave_behind(ids.iter().copied());
            self.left_behind.notify_one();
        }
    }

    /// Whether the store's outbox holds a message that this runtime was given.
    pub(crate) fn holds(&self, id: MessageId) -> bool {
        self.ledger.holds(id)
    }

    /// The message is settled or a dead letter.
    pub(crate) fn forget(&self, id: MessageId) -> bool {
        self.ledger.forget(id)
    }

    /// After a turn that handled `id`: it is settled, unless its commit `settled` it, and what the turn sent leaves.
    pub(crate) async fn leave(&self, id: MessageId, settled: bool, sent: Vec<AgentMessage>, committed: bool) {
        let mut taken = Vec::new();
        if self.ledger.forget(id) && !settled {
            taken.push(id);
        }
        for message in sent {
            if !committed {
                self.send_uncommitted(message).await;
                continue;
            }
            let (id, waits_for_receiver) = (message.id, self.waits_for_receiver(&message));
            match self.send(message).await {
                Ok(()) if waits_for_receiver => {}
                Ok(()) => {
                    self.ledger.forget(id);
                    taken.push(id);
                }
                Err(error) => {
                    tracing::debug!(message = %id, %error, "committed message not taken");
                    self.leave_behind(&[id]);
                }
            }
        }
        if !taken.is_empty() {
            self.settle(taken).await;
        }
    }

    /// Sends what an earlier process left in the store's outbox, and later what was left behind, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let Some(store) = self.store.clone() else { return };
        let (mut wait, mut at_start) = (Duration::ZERO, true);
        loop {
            let passed = tokio::select! {
                () = stop.cancelled() => return,
                passed = async {
                    sleep(wait).await;
                    self.pass(store.as_ref(), at_start).await
                } => passed,
            };
            wait = (wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
            match passed {
                Ok(Passed { any_left, any_sent }) => {
                    at_start = false;
                    if any_sent {
                        wait = FIRST_WAIT;
                    }
                    if !any_left {
                        wait = FIRST_WAIT;
                        tokio::select! {
                            () = stop.cancelled() => return,
                            () = self.left_behind.notified() => {}
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "outbox not read"),
            }
        }
    }

    /// Sends what is left behind, and `at_start` what this runtime has not sent itself.
    async fn pass(&self, store: &dyn CheckpointStore, at_start: bool) -> Result<Passed> {
        self.ledger.begin_pass();
        let mut any_sent = false;
        let mut after: Option<OutboxCursor> = None;
        loop {
            let page = within(self.patience, "read outbox", store.pending_outbox(after, PAGE)).await?;
            for entry in page.entries {
                any_sent |= self.send_again(store, entry, at_start).await;
            }
            after = page.next;
            if after.is_none() {
                return Ok(Passed { any_left: self.ledger.end_pass(), any_sent });
            }
        }
    }

    /// Whether the message was taken, or can never be.
    async fn send_again(&self, store: &dyn CheckpointStore, entry: OutboxEntry, at_start: bool) -> bool {
        let id = entry.message.id;
        let message = AgentMessage::decode(&entry.message.message);
        let is_foreign = message.as_ref().map_or(true, |message| message.stamp.node() != self.node);
        if !self.ledger.take(id, at_start && is_foreign) {
            return false;
        }
        let sent = match message {
            Ok(message) => {
                let is_late =
                    message.deadline.is_some_and(|it| it.remaining(self.clock.unix_micros()).is_none());
                let waits_for_receiver = self.waits_for_receiver(&message);
                self.send(message).await.map(|()| waits_for_receiver).map_err(|error| (is_late, error))
            }
            Err(error) => Err((true, error)),
        };
        match sent {
            Ok(true) => {}
            Ok(false) => {
                self.ledger.forget(id);
                self.settle(vec![id]).await;
            }
            Err((is_late, error)) if is_late || error.retry() == Retry::Never => {
                self.bury(store, entry, &error).await;
            }
            Err((_, error)) => {
                tracing::debug!(message = %id, %error, "committed message not taken");
                self.leave_behind(&[id]);
                return false;
            }
        }
        true
    }

    /// Whether a message stands in the outbox until the turn that handles it settles it.
    fn waits_for_receiver(&self, message: &AgentMessage) -> bool {
        matches!(message.to, Destination::Agent(_)) && !self.transport.capabilities().durable
    }

    async fn send(&self, message: AgentMessage) -> Result<()> {
        match &message.to {
            Destination::Topic(_) => {
                within(self.patience, "publish message", self.transport.publish(message)).await
            }
            _ => within(self.patience, "send message", self.transport.send(message)).await,
        }
    }

    async fn send_uncommitted(&self, message: AgentMessage) {
        let id = message.id;
        if let Err(error) = self.send(message).await {
            count(&self.counters.undeliverable);
            tracing::warn!(message = %id, %error, "message of an agent that keeps nothing is lost");
        }
    }

    async fn bury(&self, store: &dyn CheckpointStore, entry: OutboxEntry, cause: &Error) {
        let id = entry.message.id;
        tracing::warn!(message = %id, error = %cause, "dead letter");
        let letter = DeadLetter::new(entry.from, entry.message, entry.attempts, cause.to_string());
        match within(self.patience, "bury message", store.bury(letter)).await {
            Ok(()) => {
                count(&self.counters.dead_lettered);
                self.ledger.forget(id);
            }
            Err(error) => {
                tracing::error!(message = %id, %error, "dead letter not kept, it stays in the outbox");
                self.leave_behind(&[id]);
            }
        }
    }

    async fn settle(&self, ids: Vec<MessageId>) {
        let Some(store) = &self.store else { return };
        if let Err(error) = within(self.patience, "settle outbox", store.settle_outbox(ids)).await {
            // They stay in the outbox and are sent again at the next start, under the same ids.
            tracing::warn!(%error, "outbox messages not settled");
        }
    }
}
