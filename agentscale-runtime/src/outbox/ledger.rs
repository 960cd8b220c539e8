//! Which messages of the store's outbox this runtime has in hand, so that at most one copy of each is on its way.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use agentscale_core::MessageId;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// As many as there are places. A receiver sees its own message counted: a mailbox's lock stands between.
    held: AtomicUsize,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    of: HashMap<MessageId, Place>,
    pass: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a commit, a mailbox or a turn.
    OnItsWay,
    /// To be sent by the next pass over the store's outbox that finds it there.
    LeftBehind { since_pass: u32 },
}

impl Ledger {
    pub(super) fn on_its_way(&self, ids: impl IntoIterator<Item = MessageId>) {
        self.put(ids, |_| Place::OnItsWay);
    }

    pub(super) fn leave_behind(&self, ids: impl IntoIterator<Item = MessageId>) {
        self.put(ids, |pass| Place::LeftBehind { since_pass: pass });
    }

    pub(super) fn holds(&self, id: MessageId) -> bool {
        self.held.load(Ordering::Relaxed) > 0 && self.places().of.contains_key(&id)
    }

    /// Whether there was something to forget.
    pub(super) fn forget(&self, id: MessageId) -> bool {
        if self.held.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut places = self.places();
        let known = places.of.remove(&id).is_some();
        self.held.store(places.of.len(), Ordering::Relaxed);
        known
    }

    /// Puts a message on its way that was left behind, or, if `unknown_goes`, one that is not in hand.
    pub(super) fn take(&self, id: MessageId, unknown_goes: bool) -> bool {
        let mut places = self.places();
        let goes = places.of.get(&id).map_or(unknown_goes, |place| *place != Place::OnItsWay);
        if goes {
            places.of.insert(id, Place::OnItsWay);
            self.held.store(places.of.len(), Ordering::Relaxed);
        }
        goes
    }

    pub(super) fn begin_pass(&self) {
        self.places().pass += 1;
    }

    /// Forgets what was left behind before this pass and not found by it: it was never committed.
    /// Whether anything is left behind still.
    pub(super) fn end_pass(&self) -> bool {
        let mut places = self.places();
        let pass = places.pass;
        places.of.retain(|_, place| !matches!(place, Place::LeftBehind { since_pass } if *since_pass < pass));
        self.held.store(places.of.len(), Ordering::Relaxed);
        places.of.values().any(|place| *place != Place::OnItsWay)
    }

    fn put(&self, ids: impl IntoIterator<Item = MessageId>, place: impl Fn(u32) -> Place) {
        let mut places = self.places();
        let place = place(places.pass);
        places.of.extend(ids.into_iter().map(|id| (id, place)));
        self.held.store(places.of.len(), Ordering::Relaxed);
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_once_until_it_is_left_behind_again() {
        let (ledger, id) = (Ledger::default(), MessageId::new(1));
        assert!(!ledger.take(id, false));
        assert!(ledger.take(id, true));
        assert!(!ledger.take(id, true));
        ledger.leave_behind([id]);
        assert!(ledger.take(id, false));
        assert!(ledger.forget(id));
        assert!(!ledger.forget(id));
    }

    #[test]
    fn what_a_whole_pass_did_not_find_is_forgotten_and_what_came_during_it_stays() {
        let (ledger, before, during) = (Ledger::default(), MessageId::new(1), MessageId::new(2));
        ledger.leave_behind([before]);
        ledger.begin_pass();
        ledger.leave_behind([during]);
        assert!(ledger.end_pass());
        assert!(!ledger.take(before, false));
        assert!(ledger.take(during, false));
        assert!(!ledger.end_pass());
    }
}
