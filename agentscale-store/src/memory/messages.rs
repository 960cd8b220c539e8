use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use agentscale_core::checkpoint::{
    Attempted, DeadLetter, DeadLetterPage, OutboxCursor, OutboxEntry, OutboxPage,
};
use agentscale_core::{AgentId, MessageId};

/// Messages that were committed and not settled, and those that could not be handled.
#[derive(Debug, Default)]
pub(super) struct Messages {
    outbox: Line<OutboxEntry>,
    letters: Line<DeadLetter>,
}

impl Messages {
    pub(super) fn add(&mut self, entry: OutboxEntry) {
        self.outbox.push(entry.message.id, entry);
    }

    pub(super) fn is_pending(&mut self, id: MessageId) -> bool {
        self.outbox.find(id).is_some()
    }

    pub(super) fn settle(&mut self, ids: &[MessageId]) {
        for id in ids {
            self.outbox.take(*id);
        }
    }

    pub(super) fn attempt(&mut self, id: MessageId) -> Option<Attempted> {
        let entry = self.outbox.find(id)?;
        entry.attempts += 1;
        Some(Attempted { attempts: entry.attempts })
    }

    pub(super) fn bury(&mut self, letter: DeadLetter) {
        let stood_in_outbox = self.outbox.take(letter.message.id).is_some();
        if stood_in_outbox || !letter.is_only_if_pending() {
            let DeadLetter { from, message, attempts, cause, .. } = letter;
            self.letters.push(message.id, DeadLetter::new(from, message, attempts, cause));
        }
    }

    pub(super) fn redrive(&mut self, ids: &[MessageId]) -> Vec<OutboxEntry> {
        let letters: Vec<DeadLetter> = ids.iter().filter_map(|id| self.letters.take(*id)).collect();
        let entries: Vec<_> =
            letters.into_iter().map(|letter| OutboxEntry::new(letter.from, letter.message, 0)).collect();
        for entry in &entries {
            self.add(entry.clone());
        }
        entries
    }

    pub(super) fn forget(&mut self, thread: &AgentId) {
        self.outbox.retain(|entry| entry.from != *thread);
    }

    pub(super) fn pending(&self, after: Option<OutboxCursor>, limit: usize) -> OutboxPage {
        let (entries, next) = self.outbox.page(after, limit);
        OutboxPage::new(entries, next)
    }

    pub(super) fn letters(&self, after: Option<OutboxCursor>, limit: usize) -> DeadLetterPage {
        let (letters, next) = self.letters.page(after, limit);
        DeadLetterPage::new(letters, next)
    }
}

/// Entries in the order of their arrival, found by id. An id that is there already keeps its entry.
#[derive(Debug)]
struct Line<T> {
    last: i64,
    places: HashMap<MessageId, i64>,
    entries: BTreeMap<i64, T>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { last: 0, places: HashMap::new(), entries: BTreeMap::new() }
    }
}

impl<T: Clone> Line<T> {
    fn push(&mut self, id: MessageId, entry: T) {
        if !self.places.contains_key(&id) {
            self.last += 1;
            self.places.insert(id, self.last);
            self.entries.insert(self.last, entry);
        }
    }

    fn take(&mut self, id: MessageId) -> Option<T> {
        let place = self.places.remove(&id)?;
        self.entries.remove(&place)
    }

    fn find(&mut self, id: MessageId) -> Option<&mut T> {
        self.entries.get_mut(self.places.get(&id)?)
    }

    fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.entries.retain(|_, entry| keep(entry));
        self.places.retain(|_, place| self.entries.contains_key(place));
    }

    fn page(&self, after: Option<OutboxCursor>, limit: usize) -> (Vec<T>, Option<OutboxCursor>) {
        let after = after.map_or(Bound::Unbounded, |cursor| Bound::Excluded(cursor.0));
        let mut found = self.entries.range((after, Bound::Unbounded));
        let page: Vec<_> = found.by_ref().take(limit).collect();
        let more = found.next().is_some();
        let next = page.last().filter(|_| more).map(|(place, _)| OutboxCursor(**place));
        (page.into_iter().map(|(_, entry)| entry.clone()).collect(), next)
    }
}
