//! Who uses and who waits, account by account, as a state machine: no lock, no clock, no store.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{SlotConfig, SlotGrant, SlotKey, SlotLine};
use crate::{Error, ErrorKind, Result, Retry};

/// The accounts of one instance. `R` is where a waiting run is told.
#[derive(Debug)]
pub(super) struct Lines<R> {
    accounts: HashMap<SlotKey, Line<R>>,
    /// Those of which the store does not know yet.
    changed: HashSet<SlotKey>,
    waiting: usize,
    next_number: u64,
    /// Grows with each membership: a slot of an earlier one is lost already.
    term: u64,
}

#[derive(Debug)]
struct Line<R> {
    limit: u32,
    used: u32,
    waiting: VecDeque<Waiting<R>>,
    /// The number of the first that the last exchange did not speak for.
    asked_below: u64,
}

#[derive(Debug)]
struct Waiting<R> {
    number: u64,
    /// Whether it takes the first answer, whatever that is.
    once: bool,
    reply: R,
}

impl<R> Lines<R> {
    pub(super) fn new() -> Self {
        Self { accounts: HashMap::new(), changed: HashSet::new(), waiting: 0, next_number: 0, term: 0 }
    }

    pub(super) fn term(&self) -> u64 {
        self.term
    }

    pub(super) fn is_idle(&self) -> bool {
        self.accounts.is_empty()
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// The number of its place.
    ///
    /// # Errors
    /// `overloaded` where a line is full.
    pub(super) fn enter(
        &mut self,
        key: &SlotKey,
        limit: u32,
        once: bool,
        reply: R,
        config: &SlotConfig,
    ) -> Result<u64> {
        let full = |reason| {
            Error::new(ErrorKind::Overloaded, "take slot")
                .with_context("account", key)
                .with_context("reason", reason)
        };
        if self.waiting >= config.max_waiting {
            return Err(full("too many runs wait"));
        }
        let line = self.accounts.entry(key.clone()).or_insert_with(|| Line {
            limit,
            used: 0,
            waiting: VecDeque::new(),
            asked_below: 0,
        });
        if line.waiting.len() >= config.max_waiting_of_account {
            return Err(full("too many runs of the account wait"));
        }
        // The newest word holds for all that wait.
        line.limit = limit;
        let number = self.next_number;
        line.waiting.push_back(Waiting { number, once, reply });
        self.next_number += 1;
        self.waiting += 1;
        self.changed.insert(key.clone());
        Ok(number)
    }

    /// Whoever has been told already is in no line any more.
    pub(super) fn leave(&mut self, key: &SlotKey, number: u64) -> bool {
        let Some(line) = self.accounts.get_mut(key) else { return false };
        let Ok(at) = line.waiting.binary_search_by_key(&number, |waiting| waiting.number) else {
            return false;
        };
        line.waiting.remove(at);
        self.waiting -= 1;
        self.changed.insert(key.clone())
    }

    pub(super) fn release(&mut self, key: &SlotKey, term: u64) {
        if term != self.term {
            return;
        }
        if let Some(line) = self.accounts.get_mut(key) {
            line.used = line.used.saturating_sub(1);
            self.changed.insert(key.clone());
        }
    }

    /// What the store is to be told: all that has changed, and with `polls` all for which runs wait.
    pub(super) fn ask(&mut self, polls: bool, most: usize) -> Vec<SlotLine> {
        if polls {
            let waiting = self.accounts.iter().filter(|(_, line)| !line.waiting.is_empty());
            self.changed.extend(waiting.map(|(key, _)| key.clone()));
        }
        let keys: Vec<_> = self.changed.iter().take(most).cloned().collect();
        let mut lines = Vec::with_capacity(keys.len());
        for key in keys {
            self.changed.remove(&key);
            if let Some(line) = self.accounts.get_mut(&key) {
                line.asked_below = self.next_number;
                let waiting = u32::try_from(line.waiting.len()).unwrap_or(u32::MAX);
                let wanted = line.used.saturating_add(waiting);
                lines.push(SlotLine { key, limit: line.limit, used: line.used, wanted });
            }
        }
        lines
    }

    /// An exchange has failed: it is asked again.
    pub(super) fn ask_again(&mut self, lines: Vec<SlotLine>) {
        self.changed.extend(lines.into_iter().map(|line| line.key));
    }

    /// What the store has answered: who gets a slot, and who is refused.
    pub(super) fn answer(
        &mut self,
        lines: &[SlotLine],
        grants: &[SlotGrant],
    ) -> Vec<(SlotKey, R, Result<()>)> {
        let mut told = Vec::new();
        for (asked, grant) in lines.iter().zip(grants) {
            let Some(line) = self.accounts.get_mut(&asked.key) else { continue };
            let mut fresh = grant.held.saturating_sub(asked.used);
            while fresh > 0
                && let Some(next) = line.waiting.pop_front()
            {
                fresh -= 1;
                line.used += 1;
                told.push((asked.key.clone(), next.reply, Ok(())));
            }
            let refused = |waiting: &Waiting<R>| waiting.once && waiting.number < line.asked_below;
            while let Some(at) = line.waiting.iter().position(refused) {
                let Some(waiting) = line.waiting.remove(at) else { break };
                told.push((asked.key.clone(), waiting.reply, Err(at_limit(&asked.key, line.limit))));
            }
            if fresh > 0 {
                self.changed.insert(asked.key.clone());
            } else if asked.wanted == 0 && line.used == 0 && line.waiting.is_empty() {
                self.accounts.remove(&asked.key);
            }
        }
        self.waiting -= told.len();
        told
    }

    /// Those who take the first answer, as there is none.
    pub(super) fn fail(&mut self) -> Vec<(SlotKey, R)> {
        let mut told = Vec::new();
        for (key, line) in &mut self.accounts {
            while let Some(at) = line.waiting.iter().position(|waiting| waiting.once) {
                let Some(waiting) = line.waiting.remove(at) else { break };
                self.changed.insert(key.clone());
                told.push((key.clone(), waiting.reply));
            }
        }
        self.waiting -= told.len();
        told
    }

    /// The membership is over: all slots are lost. Who waits goes on to.
    pub(super) fn lose(&mut self) {
        self.term += 1;
        self.accounts.retain(|_, line| {
            line.used = 0;
            !line.waiting.is_empty()
        });
        self.changed = self.accounts.keys().cloned().collect();
    }

    /// All that wait: nobody will answer them.
    pub(super) fn close(&mut self) -> Vec<R> {
        self.lose();
        self.waiting = 0;
        self.changed.clear();
        self.accounts.drain().flat_map(|(_, line)| line.waiting).map(|waiting| waiting.reply).collect()
    }
}

/// All slots of an account are taken.
pub(super) fn at_limit(key: &SlotKey, limit: u32) -> Error {
    let error = Error::new(ErrorKind::QuotaExceeded, "take slot")
        .with_context("account", key)
        .with_context("limit", limit);
    // Where there are none they will not come back.
    if limit == 0 { error } else { error.with_retry(Retry::Later) }
}
