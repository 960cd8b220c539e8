use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agentscale_core::AgentId;
use agentscale_core::checkpoint::Version;
use uuid::Uuid;

use crate::checkpoint::names::Names;

/// The names of fields that a thread had at a commit. The database compares the commit, so what is outdated here is
/// noticed there.
#[derive(Debug)]
pub(super) struct Known {
    by_thread: Mutex<HashMap<AgentId, (Uuid, Names)>>,
    most: usize,
}

impl Known {
    pub(super) fn new(most: usize) -> Self {
        Self { by_thread: Mutex::default(), most }
    }

    pub(super) fn put(&self, thread: AgentId, tip: Uuid, names: Names) {
        let mut known = self.lock();
        if known.len() >= self.most {
            known.clear();
        }
        known.insert(thread, (tip, names));
    }

    pub(super) fn forget(&self, thread: &AgentId) {
        self.lock().remove(thread);
    }

    /// The commit that is the tip, and the names before a commit behind this version.
    pub(super) fn before(&self, thread: &AgentId, expected: Version) -> (Option<Uuid>, Names) {
        if expected == Version(0) {
            return (None, Names::none());
        }
        match self.lock().get(thread) {
            Some((tip, names)) => (Some(*tip), names.clone()),
            None => (None, Names::UNKNOWN),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgentId, (Uuid, Names)>> {
        // Nothing under the lock panics half way through a change.
        self.by_thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
