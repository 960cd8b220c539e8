//! What was served, as a provider would bill it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;

use crate::answer::Usage;
use crate::limits::Account;

/// As many keys and models are told apart; what comes further is booked under `other`.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub(crate) struct Stats {
    books: Mutex<Books>,
}

#[derive(Debug, Default, Serialize)]
struct Books {
    /// All that came, whatever its answer.
    requests: u64,
    by_status: BTreeMap<u16, u64>,
    /// Requests that a rule of the script befell.
    faults: u64,
    /// Answers of models, by key and model.
    keys: BTreeMap<String, BTreeMap<String, Bill>>,
}

/// Input tokens include cached ones, output tokens those of thinking. A stream that broke off is billed by what was
/// sent of it.
#[derive(Debug, Default, Serialize)]
struct Bill {
    /// Admitted requests: those that are billed.
    requests: u64,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    thinking_tokens: u64,
    /// Ended by a rule of the script, and what they had sent.
    cut: u64,
    cut_output_tokens: u64,
    /// Given up by the client, and what they had sent.
    left: u64,
    left_output_tokens: u64,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Complete,
    Cut,
    Left,
}

impl Stats {
    pub(crate) fn came(&self) {
        self.books().requests += 1;
    }

    pub(crate) fn answered(&self, status: u16) {
        *self.books().by_status.entry(status).or_default() += 1;
    }

    pub(crate) fn faulted(&self) {
        self.books().faults += 1;
    }

    pub(crate) fn reset(&self) {
        *self.books() = Books::default();
    }

    pub(crate) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(&*self.books()).unwrap_or_default()
    }

    fn bill(&self, key: &str, model: &str, add: impl FnOnce(&mut Bill)) {
        let mut books = self.books();
        let has_room = match books.keys.get(key) {
            Some(models) => models.len() < MOST || models.contains_key(model),
            None => books.keys.len() < MOST,
        };
        let (key, model) = if has_room { (key, model) } else { ("other", "other") };
        add(books.keys.entry(key.to_owned()).or_default().entry(model.to_owned()).or_default());
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One admitted request, billed once: when its last event leaves, or when it is given up.
#[derive(Debug)]
pub(crate) struct Booking {
    pub(crate) simulator: Arc<crate::simulator::Simulator>,
    pub(crate) account: Account,
    pub(crate) key: String,
    pub(crate) usage: Usage,
    /// Output tokens that were sent.
    pub(crate) sent: u64,
    pub(crate) ending: Ending,
    pub(crate) billed: bool,
    /// Free again once the answer has ended.
    pub(crate) slot: Option<OwnedSemaphorePermit>,
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.bill();
    }
}

impl Booking {
    pub(crate) fn end(&mut self, ending: Ending) {
        self.ending = ending;
        self.bill();
    }

    fn bill(&mut self) {
        if std::mem::replace(&mut self.billed, true) {
            return;
        }
        let (ending, usage) = (self.ending, self.usage);
        let output = if ending == Ending::Complete { usage.output } else { self.sent };
        self.simulator.stats.bill(&self.key, &self.account.model, |bill| {
            bill.requests += 1;
            bill.input_tokens += usage.input;
            bill.cached_input_tokens += usage.cached;
            bill.cache_write_tokens += usage.written + usage.written_for_long;
            bill.output_tokens += output;
            bill.thinking_tokens += usage.thinking.min(output);
            match ending {
                Ending::Complete => {}
                Ending::Cut => {
                    (bill.cut, bill.cut_output_tokens) = (bill.cut + 1, bill.cut_output_tokens + output)
                }
                Ending::Left => {
                    (bill.left, bill.left_output_tokens) = (bill.left + 1, bill.left_output_tokens + output);
                }
            }
        });
        self.simulator.limits.settle(&self.account, output, self.simulator.clock.now());
    }
}
