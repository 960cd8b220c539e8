//! What leaves after a commit, and what stays in the store's outbox until its receiver has taken it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
const LOOKS_EVERY: Duration = Duration::from_secs(10);

/// At most one copy of a message is on its way: a turn enters what it sends in the ledger before its commit, and a pass
/// over the store's outbox sends what is not in hand, left by an earlier process or for want of room.
#[derive(Debug)]
pub(crate) struct Outbox {
    transport: Arc<dyn Transport>,
    store: Option<Arc<dyn CheckpointStore>>,
    clock: Arc<dyn Clock>,
    patience: Duration,
    counters: Arc<Counters>,
    ledger: Ledger,
    left_behind: Notify,
    /// Handled, while the store could not be told.
    unsettled: Mutex<Vec<MessageId>>,
}

/// How a pass over the store's outbox went.
struct Passed {
    all_sent: bool,
    any_sent: bool,
}

impl Outbox {
    pub(crate) fn new(
        transport: Arc<dyn Transport>,
        store: Option<Arc<dyn CheckpointStore>>,
        clock: Arc<dyn Clock>,
        patience: Duration,
        counters: Arc<Counters>,
    ) -> Self {
        let (ledger, left_behind, unsettled) = (Ledger::default(), Notify::new(), Mutex::default());
        Self { transport, store, clock, patience, counters, ledger, left_behind, unsettled }
    }

    /// A turn is about to commit these messages.
    pub(crate) fn expect(&self, sent: &[AgentMessage]) {
        if !sent.is_empty() {
            self.ledger.enter(sent.iter().map(|message| message.id));
        }
    }

    /// These copies do not go on; those that stand in the store's outbox are sent again.
    pub(crate) fn leave_behind(&self, ids: &[MessageId]) {
        if !ids.is_empty() {
            self.ledger.lost(ids);
            self.left_behind.notify_one();
        }
    }

    /// Whether the store's outbox holds a message that this runtime was given.
    pub(crate) fn holds(&self, id: MessageId) -> bool {
        self.ledger.holds(id)
    }

    /// The message is settled or a dead letter.
    pub(crate) fn settled(&self, id: MessageId) {
        self.ledger.settled(id);
    }

    /// After a turn that handled `id`: it is settled, unless its commit `settled` it, and what the turn sent leaves.
    pub(crate) async fn leave(&self, id: MessageId, settled: bool, sent: Vec<AgentMessage>, committed: bool) {
        let mut taken = Vec::new();
        if settled {
            self.ledger.settled(id);
        } else if self.ledger.holds(id) {
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
                Ok(()) => taken.push(id),
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

    /// Sends what an earlier process left in the store's outbox, and later what was left behind, until `stop`. Now and
    /// then it looks by itself: a commit given up for lost may have been written late.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let Some(store) = self.store.clone() else { return };
        let mut wait = Duration::ZERO;
        loop {
            let passed = tokio::select! {
                () = stop.cancelled() => return,
                passed = async {
                    sleep(wait).await;
                    self.pass(store.as_ref()).await
                } => passed,
            };
            wait = (wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
            match passed {
                Ok(Passed { all_sent: true, .. }) => {
                    wait = FIRST_WAIT;
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.left_behind.notified() => {}
                        () = sleep(LOOKS_EVERY) => {}
                    }
                }
                Ok(Passed { any_sent: true, .. }) => wait = FIRST_WAIT,
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "outbox not read"),
            }
        }
    }

    /// Sends what is not in hand.
    async fn pass(&self, store: &dyn CheckpointStore) -> Result<Passed> {
        let unsettled = std::mem::take(&mut *self.unsettled());
        if !unsettled.is_empty() {
            self.settle(unsettled).await;
        }
        self.ledger.begin_pass();
        let mut passed = Passed { all_sent: true, any_sent: false };
        let mut after: Option<OutboxCursor> = None;
        loop {
            let page = within(self.patience, "read outbox", store.pending_outbox(after, PAGE)).await?;
            for entry in page.entries.into_iter().filter(|entry| self.ledger.take(entry.message.id)) {
                let is_sent = self.send_again(store, entry).await;
                passed.any_sent |= is_sent;
                passed.all_sent &= is_sent;
            }
            after = page.next;
            if after.is_none() {
                self.ledger.end_pass();
                return Ok(passed);
            }
        }
    }

    /// Whether the message was taken, or can never be.
    async fn send_again(&self, store: &dyn CheckpointStore, entry: OutboxEntry) -> bool {
        let id = entry.message.id;
        let sent = match AgentMessage::decode(&entry.message.message) {
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
            Ok(false) => self.settle(vec![id]).await,
            Err((is_late, error)) if is_late || error.retry() == Retry::Never => {
                self.bury(store, entry, &error).await;
            }
            Err((_, error)) => {
                tracing::debug!(message = %id, %error, "committed message not taken");
                self.ledger.lost(&[id]);
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
        let letter =
            DeadLetter::new(entry.from, entry.message, entry.attempts, cause.to_string()).only_if_pending();
        match within(self.patience, "bury message", store.bury(letter)).await {
            Ok(()) => {
                count(&self.counters.dead_lettered);
                self.ledger.settled(id);
            }
            Err(error) => {
                tracing::error!(message = %id, %error, "dead letter not kept, it stays in the outbox");
                self.ledger.lost(&[id]);
            }
        }
    }

    async fn settle(&self, ids: Vec<MessageId>) {
        let Some(store) = &self.store else { return };
        match within(self.patience, "settle outbox", store.settle_outbox(ids.clone())).await {
            Ok(()) => ids.iter().for_each(|id| self.ledger.settled(*id)),
            // They stay in hand until the store can be told, or are sent again at the next start under the same ids.
            Err(error) => {
                tracing::warn!(%error, "outbox messages not settled");
                self.unsettled().extend(ids);
                self.left_behind.notify_one();
            }
        }
    }

    fn unsettled(&self) -> MutexGuard<'_, Vec<MessageId>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
