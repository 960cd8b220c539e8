//! Which messages of the store's outbox this runtime has in hand, so that at most one copy of each is on its way.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use agentscale_core::MessageId;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// As many as are in hand. A receiver sees its own message counted: a mailbox's lock stands between.
    held: AtomicUsize,
    ids: Mutex<Ids>,
}

#[derive(Debug, Default)]
struct Ids {
    /// In a commit, a mailbox or a turn.
    in_hand: HashSet<MessageId>,
    /// Settled since the pass over the store's outbox began: the pages that it reads may be older.
    settled: Option<HashSet<MessageId>>,
}

impl Ledger {
    pub(super) fn enter(&self, ids: impl IntoIterator<Item = MessageId>) {
        self.change(|it| it.in_hand.extend(ids));
    }

    pub(super) fn holds(&self, id: MessageId) -> bool {
        !self.is_empty() && self.ids().in_hand.contains(&id)
    }

    /// The message stands no longer in the store's outbox.
    pub(super) fn settled(&self, id: MessageId) {
        if !self.is_empty() {
            self.change(|it| {
                if it.in_hand.remove(&id)
                    && let Some(settled) = &mut it.settled
                {
                    settled.insert(id);
                }
            });
        }
    }

    /// This copy is gone; the next pass that finds the message in the store's outbox sends it again.
    pub(super) fn lost(&self, ids: &[MessageId]) {
        self.change(|it| {
            for id in ids {
                it.in_hand.remove(id);
            }
        });
    }

    /// Enters a message that a pass has found, unless it is in hand or settled meanwhile.
    pub(super) fn take(&self, id: MessageId) -> bool {
        self.change(|it| {
            let is_settled = it.settled.as_ref().is_some_and(|settled| settled.contains(&id));
            !is_settled && it.in_hand.insert(id)
        })
    }

    pub(super) fn begin_pass(&self) {
        self.ids().settled = Some(HashSet::new());
    }

    pub(super) fn end_pass(&self) {
        self.ids().settled = None;
    }

    fn is_empty(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0
    }

    fn change<T>(&self, change: impl FnOnce(&mut Ids) -> T) -> T {
        let mut ids = self.ids();
        let changed = change(&mut ids);
        self.held.store(ids.in_hand.len(), Ordering::Relaxed);
        changed
    }

    fn ids(&self) -> MutexGuard<'_, Ids> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_once_until_its_copy_is_lost() {
        let (ledger, id) = (Ledger::default(), MessageId::new(1));
        ledger.begin_pass();
        assert!(ledger.take(id));
        assert!(!ledger.take(id));
        ledger.lost(&[id]);
        assert!(!ledger.holds(id));
        assert!(ledger.take(id));
    }

    #[test]
    fn a_pass_does_not_send_again_what_was_settled_since_it_began() {
        let (ledger, id) = (Ledger::default(), MessageId::new(1));
        ledger.enter([id]);
        ledger.begin_pass();
        ledger.settled(id);
        assert!(!ledger.take(id));
        ledger.end_pass();
        ledger.begin_pass();
        assert!(ledger.take(id));
    }
}
