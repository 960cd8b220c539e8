use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tags::Change;

/// Changes that wait for Redis, at most; more of them last as long as the entries that they concern.
const UNTOLD: usize = 65_536;

/// Changes that Redis did not confirm.
#[derive(Clone, Debug, Default)]
pub(super) struct Untold {
    waiting: Arc<Mutex<Vec<Change>>>,
    /// Those that wait, and those of which Redis is being told.
    count: Arc<AtomicUsize>,
}

/// Changes of which Redis is being told. Dropped before it confirmed them, they wait.
#[derive(Debug)]
pub(super) struct Telling {
    changes: Vec<Change>,
    untold: Untold,
}

impl Untold {
    pub(super) fn tell(&self, changes: Vec<Change>) -> Telling {
        self.count.fetch_add(changes.len(), Ordering::AcqRel);
        Telling { changes, untold: self.clone() }
    }

    /// Up to so many that wait, to be told once more.
    pub(super) fn again(&self, most: usize) -> Option<Telling> {
        let mut waiting = self.waiting();
        let from = waiting.len().saturating_sub(most);
        let changes = waiting.split_off(from);
        (!changes.is_empty()).then(|| Telling { changes, untold: self.clone() })
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Change>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Telling {
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Redis knows.
    pub(super) fn told(mut self) {
        self.untold.count.fetch_sub(self.changes.len(), Ordering::AcqRel);
        self.changes.clear();
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        let mut waiting = self.untold.waiting();
        let room = UNTOLD.saturating_sub(waiting.len());
        let left = self.changes.len().saturating_sub(room);
        waiting.extend(self.changes.drain(left..));
        drop(waiting);
        if left > 0 {
            self.untold.count.fetch_sub(left, Ordering::AcqRel);
            tracing::warn!(changes = left, "redis does not hear of changes, and too many wait");
        }
    }
}
