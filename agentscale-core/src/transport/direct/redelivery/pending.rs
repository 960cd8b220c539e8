//! The deliveries that wait, by the moment at which each comes again.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use crate::transport::MailboxLimits;
use crate::transport::direct::group::GroupName;
use crate::{AgentMessage, Error, ErrorKind, Result};

#[derive(Debug)]
pub(super) struct Pending {
    limits: MailboxLimits,
    entries: HashMap<u64, Entry>,
    by_due: BTreeSet<(Instant, u64)>,
    bytes: usize,
    next_id: u64,
    /// When the sweeper looks again; `None` while it waits for the first entry.
    wakes_at: Option<Instant>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) message: AgentMessage,
    pub(super) bytes: usize,
    pub(super) group: GroupName,
    pub(super) attempt: u32,
    pub(super) due: Instant,
    /// Why it comes again; `None` for a silent receiver.
    pub(super) fault: Option<Error>,
}

/// One attempt to deliver a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport::direct) struct Turn {
    pub(super) id: u64,
    pub(super) attempt: u32,
}

impl Pending {
    pub(super) fn new(limits: MailboxLimits) -> Self {
        Self {
            limits,
            entries: HashMap::new(),
            by_due: BTreeSet::new(),
            bytes: 0,
            next_id: 0,
            wakes_at: None,
        }
    }

    pub(super) fn insert(&mut self, entry: Entry) -> Result<Turn> {
        if !self.limits.admit(self.entries.len(), self.bytes, entry.bytes) {
            return Err(Error::new(ErrorKind::Overloaded, "watch delivery")
                .with_context("unacknowledged", self.entries.len())
                .with_context("bytes", self.bytes));
        }
        let turn = Turn { id: self.next_id, attempt: entry.attempt };
        self.next_id += 1;
        self.bytes += entry.bytes;
        self.by_due.insert((entry.due, turn.id));
        self.entries.insert(turn.id, entry);
        Ok(turn)
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.by_due.remove(&(entry.due, id));
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Moves a turn; one that a later turn has replaced has no say.
    pub(super) fn reschedule(&mut self, turn: Turn, due: Instant, fault: Option<Error>) {
        let Some(entry) = self.entries.get_mut(&turn.id).filter(|entry| entry.attempt == turn.attempt) else {
            return;
        };
        self.by_due.remove(&(entry.due, turn.id));
        self.by_due.insert((due, turn.id));
        (entry.due, entry.fault) = (due, fault);
    }

    /// Gives the next turn to what is due at `now`, until `silent_until`. Its entry is as it was before.
    pub(super) fn next_turn(&mut self, now: Instant, silent_until: Instant) -> Option<(Turn, Entry)> {
        let &(due, id) = self.by_due.first().filter(|(due, _)| *due <= now)?;
        self.by_due.remove(&(due, id));
        self.by_due.insert((silent_until, id));
        let entry = self.entries.get_mut(&id)?;
        let before = entry.clone();
        entry.attempt += 1;
        (entry.due, entry.fault) = (silent_until, None);
        Some((Turn { id, attempt: entry.attempt }, before))
    }

    /// When the sweeper has to look again.
    pub(super) fn sleep(&mut self) -> Option<Instant> {
        self.wakes_at = self.by_due.first().map(|(due, _)| *due);
        self.wakes_at
    }

    /// Whether something is due before the sweeper looks.
    pub(super) fn due_before_wake(&self) -> bool {
        let first = self.by_due.first().map(|(due, _)| *due);
        first.is_some_and(|due| self.wakes_at.is_none_or(|wakes_at| due < wakes_at))
    }
}
