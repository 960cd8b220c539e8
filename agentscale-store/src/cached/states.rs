//! States under names that never change their meaning, and which of them was a thread's tip when last seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentscale_core::AgentId;
use agentscale_core::checkpoint::{
    Checkpoint, CheckpointInfo, Claim, Commit, CommitId, Epoch, Field, Version,
};
use bytes::Bytes;
use moka::sync::Cache;

use super::CheckpointCacheConfig;

/// What an entry takes beside names and values, roughly.
const ENTRY_BYTES: usize = 256;
/// What a field or a run of appended items takes beside its bytes, roughly.
const PART_BYTES: usize = 64;

/// What a cache of checkpoints did and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointCacheStats {
    /// Loads that found their state in memory.
    pub hits: u64,
    /// Loads that got their state from the store.
    pub misses: u64,
    /// States that are held, give or take those that come and go at this moment.
    pub states: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl CheckpointCacheStats {
    /// The part of the loads that found their state in memory, 0 before the first one.
    pub fn hit_rate(&self) -> f64 {
        let loads = self.hits + self.misses;
        if loads == 0 { 0.0 } else { self.hits as f64 / loads as f64 }
    }
}

/// Names one state for ever: a thread that is deleted and begun again has another epoch, and so has one whose store
/// was restored; what the same owner commits twice at one version, the first time in vain, has another id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct StateKey {
    thread: AgentId,
    version: Version,
    id: CommitId,
    epoch: Epoch,
}

impl StateKey {
    pub(super) fn of(info: &CheckpointInfo) -> Self {
        Self { thread: info.thread.clone(), version: info.version, id: info.id, epoch: info.epoch }
    }

    /// The name of what a commit leaves, where it stands.
    pub(super) fn of_commit(commit: &Commit) -> Self {
        let version = Version(commit.expected.0.saturating_add(1));
        Self { thread: commit.thread.clone(), version, id: commit.id, epoch: commit.epoch }
    }
}

/// What a commit builds on.
#[derive(Debug)]
pub(super) struct Before {
    key: Option<StateKey>,
    owner: Epoch,
    pub(super) fields: Arc<[Field]>,
}

/// A tip as it was last seen. The epoch is that of an owner which has claimed through this store: as long as its
/// commits succeed, nobody else has moved the tip.
#[derive(Clone, Debug)]
struct Tip {
    /// `None` where the thread had no checkpoint.
    key: Option<StateKey>,
    owner: Option<Epoch>,
}

#[derive(Clone, Debug)]
pub(super) struct States {
    states: Cache<StateKey, Arc<[Field]>>,
    tips: Cache<AgentId, Tip>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl States {
    pub(super) fn new(config: &CheckpointCacheConfig) -> Self {
        let states = Cache::builder()
            .max_capacity(config.bytes)
            .weigher(|key: &StateKey, fields: &Arc<[Field]>| weight(key, fields))
            .time_to_idle(config.idle)
            .build();
        Self { states, tips: Cache::new(config.remembered_threads), counts: Arc::default() }
    }

    pub(super) fn holds_a_tip_of(&self, thread: &AgentId) -> bool {
        let key = self.tips.get(thread).and_then(|tip| tip.key);
        key.is_some_and(|key| self.states.contains_key(&key))
    }

    pub(super) fn state(&self, key: &StateKey) -> Option<Arc<[Field]>> {
        let found = self.states.get(key);
        if found.is_some() {
            self.counts.hits.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    pub(super) fn missed(&self) {
        self.counts.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn hold(&self, checkpoint: &Checkpoint, is_tip: bool) {
        let key = StateKey::of(&checkpoint.info);
        self.states.insert(key.clone(), checkpoint.fields.as_slice().into());
        if is_tip {
            let thread = checkpoint.info.thread.clone();
            let key = Some(key);
            let known = self.tips.get(&thread).filter(|known| known.key == key);
            self.tips.insert(thread, known.unwrap_or(Tip { key, owner: None }));
        }
    }

    pub(super) fn claimed(&self, thread: &AgentId, claim: &Claim) {
        let key = claim.tip.as_ref().map(|tip| StateKey::of(&tip.info));
        if let (Some(tip), Some(key)) = (&claim.tip, &key) {
            self.states.insert(key.clone(), tip.fields.as_slice().into());
        }
        self.tips.insert(thread.clone(), Tip { key, owner: Some(claim.epoch) });
    }

    /// The state that a commit builds on, where it is known beyond doubt.
    pub(super) fn before(&self, commit: &Commit) -> Option<Before> {
        let tip = self.tips.get(&commit.thread)?;
        let version = tip.key.as_ref().map_or(Version(0), |key| key.version);
        if tip.owner != Some(commit.epoch) || version != commit.expected {
            return None;
        }
        let fields = match &tip.key {
            Some(key) => self.states.get(key)?,
            None => Arc::default(),
        };
        Some(Before { key: tip.key, owner: commit.epoch, fields })
    }

    /// Holds what a commit left, in place of what it built on.
    pub(super) fn committed(&self, before: Before, key: StateKey, fields: Vec<Field>) {
        if let Some(superseded) = before.key {
            self.states.invalidate(&superseded);
        }
        self.states.insert(key.clone(), fields.into());
        self.tips.insert(key.thread.clone(), Tip { key: Some(key), owner: Some(before.owner) });
    }

    /// Forgets which state is the tip of a thread. The states themselves stay true.
    pub(super) fn forget(&self, thread: &AgentId) {
        self.tips.invalidate(thread);
    }

    pub(super) fn stats(&self) -> CheckpointCacheStats {
        self.states.run_pending_tasks();
        CheckpointCacheStats {
            hits: self.counts.hits.load(Ordering::Relaxed),
            misses: self.counts.misses.load(Ordering::Relaxed),
            states: self.states.entry_count(),
            bytes: self.states.weighted_size(),
        }
    }
}

fn weight(key: &StateKey, fields: &[Field]) -> u32 {
    let thread = &key.thread;
    let names = thread.tenant.as_str().len() + thread.agent_type.as_str().len() + thread.key.as_str().len();
    let field = |field: &Field| {
        let appended: usize = field.appended.iter().map(|items| items.len() + PART_BYTES).sum();
        PART_BYTES + field.name.len() + field.value.as_ref().map_or(0, Bytes::len) + appended
    };
    let bytes = ENTRY_BYTES + names + fields.iter().map(field).sum::<usize>();
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
