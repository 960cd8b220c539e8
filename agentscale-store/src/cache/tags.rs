//! What this node knows of the tags that its entries use.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::tag::TagId;

/// Changes of which this node keeps a trace, for whoever asked Redis for an entry before they came.
const RECENT: usize = 1_024;
/// The version of a tag of which nothing holds any more.
const VOID: u64 = u64::MAX;

type Live = Arc<Mutex<HashMap<TagId, Weak<TagState>>>>;

/// The tags that entries in memory use or that changed lately. Others need not be known: nothing here used them.
#[derive(Default)]
pub(super) struct Tags {
    live: Live,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    changes: u64,
    last: VecDeque<Arc<TagState>>,
}

/// A place in the order of the changes that this node saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(u64);

/// What is known of a tag. It goes with the last entry that uses it.
pub(super) struct TagState {
    id: TagId,
    /// The highest version that Redis told of.
    shared: AtomicU64,
    /// How often it changed by this node's word, or by that of one without Redis.
    local: AtomicU64,
    /// Changes by this node's word that Redis has not confirmed.
    pending: AtomicU64,
    live: Live,
}

/// A tag as it was before an entry was made.
#[derive(Clone, Debug)]
pub(super) struct Used {
    tag: Arc<TagState>,
    shared: u64,
    local: u64,
}

impl Tags {
    /// A tag as it is now.
    pub(super) fn now(&self, id: TagId) -> Used {
        let tag = self.state(id);
        let (shared, local) = (tag.shared.load(Ordering::Acquire), tag.local.load(Ordering::Acquire));
        Used { tag, shared, local }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.recent().changes)
    }

    /// The tags of an entry that Redis gave to a question asked after `mark`; `None` where one of them changed since.
    pub(super) fn since(&self, mark: Mark, versions: &[(TagId, u64)]) -> Option<Vec<Used>> {
        let used: Vec<_> = versions.iter().map(|(id, version)| self.now(*id).at(*version)).collect();
        // Looked at behind the tags were put down: what comes from now on changes them.
        let recent = self.recent();
        let since = usize::try_from(recent.changes - mark.0).unwrap_or(usize::MAX);
        let is_pending = used.iter().any(|used| used.tag.pending.load(Ordering::Acquire) > 0);
        if since > recent.last.len() || is_pending {
            return None;
        }
        let changed = |used: &Used| recent.last.iter().rev().take(since).any(|tag| tag.id == used.tag.id);
        if used.iter().any(changed) {
            return None;
        }
        drop(recent);
        Some(used)
    }

    /// A tag changed, by the word of a node that shares no versions.
    pub(super) fn changed(&self, id: TagId) {
        let tag = self.state(id);
        tag.local.fetch_add(1, Ordering::AcqRel);
        self.remember(tag);
    }

    /// A tag changes by this node's word, of which Redis is told until the answer is dropped.
    pub(super) fn change(&self, id: TagId) -> Change {
        let tag = self.state(id);
        tag.pending.fetch_add(1, Ordering::AcqRel);
        tag.local.fetch_add(1, Ordering::AcqRel);
        self.remember(Arc::clone(&tag));
        Change { tag }
    }

    /// Redis told that a tag has a version.
    pub(super) fn told(&self, id: TagId, version: u64) {
        let tag = self.state(id);
        if tag.shared.fetch_max(version, Ordering::AcqRel) < version {
            self.remember(tag);
        }
    }

    /// Forgets all versions: no entry made before is current.
    pub(super) fn void(&self) {
        let all: Vec<_> = self.live().drain().collect();
        for tag in all.iter().filter_map(|(_, tag)| tag.upgrade()) {
            tag.shared.store(VOID, Ordering::Release);
        }
        // What was asked of the Redis of before is not kept.
        self.recent().changes += RECENT as u64 + 1;
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.live().len()
    }

    fn state(&self, id: TagId) -> Arc<TagState> {
        let mut live = self.live();
        if let Some(tag) = live.get(&id).and_then(Weak::upgrade) {
            return tag;
        }
        let none = || AtomicU64::new(0);
        let state =
            TagState { id, shared: none(), local: none(), pending: none(), live: Arc::clone(&self.live) };
        let tag = Arc::new(state);
        live.insert(id, Arc::downgrade(&tag));
        tag
    }

    fn remember(&self, tag: Arc<TagState>) {
        let mut recent = self.recent();
        recent.changes += 1;
        recent.last.push_back(tag);
        let oldest = if recent.last.len() > RECENT { recent.last.pop_front() } else { None };
        drop(recent);
        // It takes the other lock where it was the last.
        drop(oldest);
    }

    fn live(&self) -> MutexGuard<'_, HashMap<TagId, Weak<TagState>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    /// Whether nothing is known that happened to the tag since.
    pub(super) fn is_current(&self) -> bool {
        self.tag.shared.load(Ordering::Acquire) == self.shared
            && self.tag.local.load(Ordering::Acquire) == self.local
    }

    /// The same at a version that Redis told of.
    pub(super) fn at(mut self, version: u64) -> Self {
        self.tag.shared.fetch_max(version, Ordering::AcqRel);
        self.shared = version;
        self
    }

    pub(super) fn id(&self) -> TagId {
        self.tag.id
    }

    pub(super) fn version(&self) -> u64 {
        self.shared
    }
}

/// A change that Redis is to hear of. While this lives, what Redis has of the tag is not taken.
#[derive(Debug)]
pub(super) struct Change {
    tag: Arc<TagState>,
}

impl Change {
    pub(super) fn id(&self) -> TagId {
        self.tag.id
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.tag.pending.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for TagState {
    fn drop(&mut self) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.get(&self.id).is_some_and(|tag| tag.strong_count() == 0) {
            live.remove(&self.id);
        }
    }
}

impl fmt::Debug for TagState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TagState").field("id", &self.id).field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tags").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
