//! States under names that never change their meaning, and which of them was a thread's tip when last seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentscale_core::AgentId;
use agentscale_core::checkpoint::{
    Checkpoint, CheckpointInfo, Claim, Commit, CommitId, Committed, Durability, Epoch, Field, FieldWrite,
    Version,
};
use bytes::Bytes;
use moka::Entry;
use moka::ops::compute::Op;
use moka::sync::Cache;

use super::CheckpointCacheConfig;
use crate::delta;

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
    /// Loads that found their state in the Redis behind, where there is one.
    pub shared_hits: u64,
    /// Loads that got their state from the store.
    pub misses: u64,
    /// States that are held, give or take those that come and go at this moment.
    pub states: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl CheckpointCacheStats {
    /// The part of the loads that did not get their state from the store, 0 before the first one.
    pub fn hit_rate(&self) -> f64 {
        let found = self.hits + self.shared_hits;
        let loads = found + self.misses;
        if loads == 0 { 0.0 } else { found as f64 / loads as f64 }
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
    /// The name in bytes, each part with its length.
    #[cfg(feature = "redis")]
    pub(super) fn bytes(&self) -> Vec<u8> {
        let thread = &self.thread;
        let mut bytes = Vec::with_capacity(128);
        for part in [thread.tenant.as_str(), thread.agent_type.as_str(), thread.key.as_str()] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(&self.version.0.to_be_bytes());
        bytes.extend_from_slice(self.id.0.as_bytes());
        bytes.extend_from_slice(&self.epoch.incarnation.to_be_bytes());
        bytes.extend_from_slice(&self.epoch.counter.to_be_bytes());
        bytes
    }

    pub(super) fn of(info: &CheckpointInfo) -> Self {
        Self { thread: info.thread.clone(), version: info.version, id: info.id, epoch: info.epoch }
    }
}

/// What a commit builds on, and what it leaves where it stands.
#[derive(Debug)]
pub(super) struct Change {
    before: Tip,
    after: CheckpointInfo,
    fields: Arc<[Field]>,
    writes: Vec<FieldWrite>,
}

/// A tip as it was last seen. What several tasks saw may come here in another order than it happened.
#[derive(Clone, Debug, Default)]
struct Tip {
    /// `None` where the thread had no checkpoint.
    info: Option<Arc<CheckpointInfo>>,
    /// An owner that has claimed through this store: as long as its commits succeed, nobody else has moved the tip.
    owner: Option<Epoch>,
    /// Whether the store keeps it for certain; what is only queued it may yet refuse.
    is_kept: bool,
    /// The highest epoch that was claimed here: what an older owner saw is no news.
    highest: Epoch,
}

impl Tip {
    fn key(&self) -> Option<StateKey> {
        self.info.as_deref().map(StateKey::of)
    }
}

#[derive(Clone, Debug)]
pub(super) struct States {
    states: Cache<StateKey, Arc<[Field]>>,
    tips: Cache<AgentId, Tip>,
    counts: Arc<Counts>,
    #[cfg(feature = "redis")]
    pub(super) redis: Option<super::RedisStates>,
}

#[derive(Debug, Default)]
struct Counts {
    hits: AtomicU64,
    shared_hits: AtomicU64,
    misses: AtomicU64,
}

impl States {
    pub(super) fn new(config: &CheckpointCacheConfig) -> Self {
        let states = Cache::builder()
            .max_capacity(config.bytes)
            .weigher(|key: &StateKey, fields: &Arc<[Field]>| weight(key, fields))
            .time_to_idle(config.idle)
            .build();
        Self {
            states,
            tips: Cache::new(config.remembered_threads),
            counts: Arc::default(),
            #[cfg(feature = "redis")]
            redis: None,
        }
    }

    pub(super) fn holds_a_tip_of(&self, thread: &AgentId) -> bool {
        let key = self.tips.get(thread).and_then(|tip| tip.key());
        key.is_some_and(|key| self.states.contains_key(&key))
    }

    /// The tip that an owner has left which claimed through this store.
    pub(super) fn tip_of_owner(&self, thread: &AgentId) -> Option<Checkpoint> {
        let tip = self.tips.get(thread).filter(|tip| tip.owner.is_some() && tip.is_kept)?;
        let info = tip.info?;
        let fields = self.state(&StateKey::of(&info))?;
        Some(Checkpoint::new((*info).clone(), fields.to_vec()))
    }

    pub(super) fn state(&self, key: &StateKey) -> Option<Arc<[Field]>> {
        let found = self.states.get(key);
        if found.is_some() {
            self.counts.hits.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    /// Whether states may be held where only their name finds them.
    pub(super) fn has_more_behind(&self) -> bool {
        #[cfg(feature = "redis")]
        return self.redis.is_some();
        #[cfg(not(feature = "redis"))]
        return false;
    }

    /// The state in the Redis behind, which is held in memory from now on.
    #[cfg(feature = "redis")]
    pub(super) async fn state_behind(&self, key: &StateKey) -> Option<Arc<[Field]>> {
        let fields: Arc<[Field]> = self.redis.as_ref()?.state(key).await?.into();
        self.counts.shared_hits.fetch_add(1, Ordering::Relaxed);
        self.states.insert(key.clone(), fields.clone());
        Some(fields)
    }

    /// Holds a state, and sends it to the Redis behind unless it comes from there.
    fn insert(&self, key: StateKey, fields: Arc<[Field]>) {
        #[cfg(feature = "redis")]
        if let Some(redis) = &self.redis
            && !self.states.contains_key(&key)
        {
            redis.offer(&key, &fields);
        }
        self.states.insert(key, fields);
    }

    pub(super) fn missed(&self) {
        self.counts.misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn hold(&self, checkpoint: &Checkpoint, is_tip: bool) {
        let key = StateKey::of(&checkpoint.info);
        self.insert(key.clone(), checkpoint.fields.as_slice().into());
        if is_tip {
            self.update(&checkpoint.info.thread, |known| {
                let info = Some(Arc::new(checkpoint.info.clone()));
                (known.key() != Some(key)).then_some(Tip {
                    info,
                    owner: None,
                    is_kept: true,
                    highest: known.highest,
                })
            });
        }
    }

    pub(super) fn claimed(&self, thread: &AgentId, claim: &Claim) {
        if let Some(tip) = &claim.tip {
            self.insert(StateKey::of(&tip.info), tip.fields.as_slice().into());
        }
        let info = claim.tip.as_ref().map(|tip| Arc::new(tip.info.clone()));
        let highest = claim.epoch;
        self.update(thread, |known| {
            (known.highest <= highest).then_some(Tip { info, owner: Some(highest), is_kept: true, highest })
        });
    }

    /// What a commit will change, where the state that it builds on is known beyond doubt.
    pub(super) fn change(&self, commit: &Commit) -> Option<Change> {
        let tip = self.tips.get(&commit.thread)?;
        let version = tip.info.as_ref().map_or(Version(0), |info| info.version);
        if tip.owner != Some(commit.epoch) || version != commit.expected {
            return None;
        }
        let fields = match tip.key() {
            Some(key) => self.states.get(&key)?,
            None => Arc::default(),
        };
        let thread = commit.thread.clone();
        let version = Version(version.0.saturating_add(1));
        let header = commit.header.clone();
        let after = CheckpointInfo::new(thread, version, commit.id, commit.epoch, header, commit.stamp)
            .with_tags(commit.tags.clone());
        Some(Change { before: tip, after, fields, writes: commit.fields.clone() })
    }

    /// Holds what a commit left, in place of what it built on.
    pub(super) fn committed(&self, change: Change, committed: Committed) {
        let Change { before, after, fields, writes } = change;
        if let Some(superseded) = before.key() {
            self.states.invalidate(&superseded);
        }
        self.insert(StateKey::of(&after), delta::fold(fields.to_vec(), writes).into());
        let is_kept = committed.level >= Durability::Process;
        let thread = after.thread.clone();
        self.update(&thread, |known| {
            let is_newest = known.owner == before.owner && known.key() == before.key();
            is_newest.then(|| Tip { info: Some(Arc::new(after)), is_kept, ..before })
        });
    }

    /// Forgets which state is the tip of a thread. The states themselves stay true.
    pub(super) fn forget(&self, thread: &AgentId) {
        self.update(thread, |known| Some(Tip { highest: known.highest, ..Tip::default() }));
    }

    /// Changes what is known of a tip, or leaves it.
    fn update(&self, thread: &AgentId, change: impl FnOnce(Tip) -> Option<Tip>) {
        self.tips.entry_by_ref(thread).and_compute_with(|known| {
            let known = known.map(Entry::into_value).unwrap_or_default();
            change(known).map_or(Op::Nop, Op::Put)
        });
    }

    pub(super) fn stats(&self) -> CheckpointCacheStats {
        self.states.run_pending_tasks();
        CheckpointCacheStats {
            hits: self.counts.hits.load(Ordering::Relaxed),
            shared_hits: self.counts.shared_hits.load(Ordering::Relaxed),
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

#[cfg(test)]
mod tests {
    use agentscale_core::checkpoint::StateHeader;
    use agentscale_core::{MessageId, Stamp, Tenant};

    use super::*;

    fn thread() -> AgentId {
        AgentId::new(&Tenant::new("acme").unwrap(), "note", "alice").unwrap()
    }

    fn epoch(counter: u64) -> Epoch {
        Epoch { incarnation: 0, counter }
    }

    fn claim(counter: u64, version: u64) -> Claim {
        let id = CommitId(uuid::Uuid::from_u128(version.into()));
        let header = StateHeader::json(1);
        let info = CheckpointInfo::new(thread(), Version(version), id, epoch(1), header, Stamp::default());
        Claim::new(epoch(counter), Some(Checkpoint::new(info, Vec::new())))
    }

    fn commit(counter: u64, expected: u64) -> Commit {
        let id = CommitId(*MessageId::new(1).as_uuid());
        Commit::new(id, thread(), epoch(counter), Version(expected), StateHeader::json(1))
    }

    fn tip(states: &States) -> Option<Version> {
        states.tip_of_owner(&thread()).map(|tip| tip.info.version)
    }

    /// Two tasks: one is held up between the store's answer and here, while the other claims and commits.
    #[test]
    fn an_older_owners_news_that_come_late_change_nothing() {
        let states = States::new(&CheckpointCacheConfig::default());
        let kept = |version: u64| Committed::new(Version(version), Durability::Process);
        states.claimed(&thread(), &claim(1, 4));
        let late = states.change(&commit(1, 4)).expect("its base is known");
        states.claimed(&thread(), &claim(2, 5));
        let next = states.change(&commit(2, 5)).expect("its base is known");
        states.committed(next, kept(6));
        states.committed(late, kept(5));
        assert_eq!(tip(&states), Some(Version(6)));
        states.claimed(&thread(), &claim(1, 4));
        assert_eq!(tip(&states), Some(Version(6)));
        states.forget(&thread());
        states.claimed(&thread(), &claim(1, 4));
        assert_eq!(tip(&states), None);
    }
}
