use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::checkpoint::Commit;
use agentscale_core::{MessageId, Result};
use tokio::sync::Notify;

use super::thread::{Entry, Thread};

/// What waits for the shared store.
#[derive(Debug, Default)]
pub(super) struct Tails {
    waiting: Mutex<Waiting>,
    pub(super) arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Threads whose tail somebody has to begin to flush; each stands here once.
    threads: VecDeque<Arc<Thread>>,
    /// What the commits of tails send.
    messages: HashMap<MessageId, Arc<Thread>>,
}

impl Tails {
    /// Adds an acknowledged commit.
    pub(super) fn push(&self, thread: Arc<Thread>, entry: Entry) {
        let mut waiting = self.waiting();
        for sent in &entry.commit.outbox {
            waiting.messages.insert(sent.id, thread.clone());
        }
        if thread.push(entry) {
            waiting.threads.push_back(thread);
            drop(waiting);
            self.arrived.notify_one();
        }
    }

    /// The next thread to flush.
    pub(super) fn pop(&self) -> Option<Arc<Thread>> {
        self.waiting().threads.pop_front()
    }

    /// A commit does not wait any more.
    pub(super) fn ended(&self, commit: &Commit) {
        if !commit.outbox.is_empty() {
            let mut waiting = self.waiting();
            for sent in &commit.outbox {
                waiting.messages.remove(&sent.id);
            }
        }
    }

    /// Waits until none of these messages stands in a commit that waits itself.
    pub(super) async fn sent(&self, ids: &[MessageId]) -> Result<()> {
        for id in ids {
            let sender = self.waiting().messages.get(id).cloned();
            if let Some(sender) = sender {
                sender.drained().await?;
            }
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under the lock panics half way through a change.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
