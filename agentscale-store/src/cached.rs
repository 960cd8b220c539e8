//! Checkpoints whose states are held in memory too.

mod config;
#[cfg(feature = "redis")]
mod redis;
mod states;

use agentscale_core::checkpoint::{
    AppendSteps, At, Attempted, BarrierRequest, Checkpoint, CheckpointCapabilities, CheckpointInfo, Claim,
    ClaimRequest, Commit, Committed, DeadLetter, DeadLetterPage, DeleteRequest, ForkRequest, HistoryRequest,
    LoadRequest, OutboxCursor, OutboxEntry, OutboxPage, PruneRequest, Pruned, RecordedOutcome, ThreadPage,
    ThreadQuery, Version,
};
use agentscale_core::lease::LeaseWatch;
use agentscale_core::{AgentId, CheckpointStore, IdempotencyKey, MessageId, Result};
use async_trait::async_trait;

pub use config::CheckpointCacheConfig;
#[cfg(feature = "redis")]
pub use redis::{RedisStates, RedisStatesConfig, RedisStatesStats};
pub use states::CheckpointCacheStats;

use states::{StateKey, States};

/// Holds the states of checkpoints in memory, so that a store need not read and send them again.
///
/// For large states in a store that is far away, loaded more often than they change hands. Not for small
/// states in a file of the same machine: what is saved is less than the question costs.
///
/// A stale read cannot happen. A state is held under its thread, version, commit id and the epoch of its
/// commit, under which it never changes; which of them is the tip, and whether a version still exists, the
/// store is asked at every load, for a row without its state ([`CheckpointStore::history`]), unless a
/// [lease](Self::with_lease) excludes others. What a claim
/// and a commit of this process left is held too: after them, a load of the tip asks for that row only.
///
/// A miss costs that question on top of the load, except where nothing of the thread is held; a claim is
/// not made shorter. An owner that claims through this store writes through it alone, or through its
/// clones. Over a store that encrypts, what is held is plain; under it, it is not.
///
/// ```
/// use agentscale_core::checkpoint::{ClaimRequest, Commit, CommitId, FieldWrite, LoadRequest, StateHeader};
/// use agentscale_core::{AgentId, CheckpointStore, MessageId, Tenant};
/// use agentscale_store::{CachedCheckpointStore, CheckpointCacheConfig, InMemoryCheckpointStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentscale_core::Result<()> {
/// let store = CachedCheckpointStore::new(InMemoryCheckpointStore::new(), &CheckpointCacheConfig::default());
/// let alice = AgentId::new(&Tenant::new("acme")?, "note", "alice")?;
/// let claim = store.claim(ClaimRequest::new(alice.clone())).await?;
/// let id = CommitId(*MessageId::new(1).as_uuid());
/// let mut commit = Commit::new(id, alice.clone(), claim.epoch, claim.version(), StateHeader::json(1));
/// commit.fields.push(FieldWrite::Replace { name: "plan".into(), value: "1".into() });
/// store.commit(commit).await?;
/// let tip = store.load(LoadRequest::tip(alice)).await?.expect("alice has committed");
/// assert_eq!(tip.fields[0].name, "plan");
/// assert_eq!((store.stats().hits, store.stats().misses), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CachedCheckpointStore<S> {
    inner: S,
    states: States,
    lease: Option<LeaseWatch>,
}

impl<S: CheckpointStore> CachedCheckpointStore<S> {
    /// Holds states of `inner`, none at first.
    pub fn new(inner: S, config: &CheckpointCacheConfig) -> Self {
        Self { inner, states: States::new(config), lease: None }
    }

    /// Does not ask the store for tips that were claimed and committed through this one, while a lease is held.
    ///
    /// For a lease without which no process claims, forks into or deletes threads that this store loads: a node's, a
    /// shard's. Where another process does, or where the clock of the leases jumps ahead, a load can be older than what
    /// was acknowledged there.
    #[must_use]
    pub fn with_lease(mut self, lease: LeaseWatch) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Looks into a Redis for what is not in memory, before it asks the store for it, and holds states there too.
    ///
    /// For processes that load what others have committed. What is sealed by an
    /// `EncryptedCheckpointStore` around this one is sealed in Redis.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn with_redis(mut self, redis: RedisStates) -> Self {
        self.states.redis = Some(redis);
        self
    }

    /// The store behind.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// What is held, and how often it served.
    pub fn stats(&self) -> CheckpointCacheStats {
        self.states.stats()
    }

    /// Whether nobody else may move a tip at this moment.
    fn is_alone(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.check().is_ok())
    }

    /// The checkpoint that is asked for, without its state.
    async fn ask(&self, request: &LoadRequest) -> Result<Option<CheckpointInfo>> {
        let newest = HistoryRequest::new(request.thread.clone(), 1);
        let (question, wanted) = match request.at {
            At::Version(version) => (newest.before(Version(version.0.saturating_add(1))), Some(version)),
            _ => (newest, None),
        };
        let found = self.inner.history(question).await?.pop();
        Ok(found.filter(|info| wanted.is_none_or(|version| version == info.version)))
    }

    async fn load_and_hold(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
        let is_tip = request.at == At::Tip;
        let loaded = self.inner.load(request).await?;
        if let Some(checkpoint) = &loaded {
            self.states.missed();
            self.states.hold(checkpoint, is_tip);
        }
        Ok(loaded)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CheckpointStore> CheckpointStore for CachedCheckpointStore<S> {
    fn capabilities(&self) -> CheckpointCapabilities {
        self.inner.capabilities()
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        let thread = request.thread.clone();
        let claim = self.inner.claim(request).await?;
        self.states.claimed(&thread, &claim);
        Ok(claim)
    }

    async fn commit(&self, commit: Commit) -> Result<Committed> {
        let thread = commit.thread.clone();
        let change = self.states.change(&commit);
        let committed = self.inner.commit(commit).await;
        match (change, &committed) {
            (Some(change), Ok(committed)) => self.states.committed(change, *committed),
            _ => self.states.forget(&thread),
        }
        committed
    }

    async fn barrier(&self, request: BarrierRequest) -> Result<()> {
        self.inner.barrier(request).await
    }

    async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
        if request.at == At::Tip
            && self.is_alone()
            && let Some(tip) = self.states.tip_of_owner(&request.thread)
        {
            return Ok(Some(tip));
        }
        let may_be_held = self.states.has_more_behind();
        if request.at == At::Tip && !may_be_held && !self.states.holds_a_tip_of(&request.thread) {
            return self.load_and_hold(request).await;
        }
        let Some(info) = self.ask(&request).await? else { return Ok(None) };
        let key = StateKey::of(&info);
        if let Some(fields) = self.states.state(&key) {
            return Ok(Some(Checkpoint::new(info, fields.to_vec())));
        }
        #[cfg(feature = "redis")]
        if let Some(fields) = self.states.state_behind(&key).await {
            return Ok(Some(Checkpoint::new(info, fields.to_vec())));
        }
        self.load_and_hold(request).await
    }

    async fn outcome(&self, thread: &AgentId, key: &IdempotencyKey) -> Result<Option<RecordedOutcome>> {
        self.inner.outcome(thread, key).await
    }

    async fn append_steps(&self, steps: AppendSteps) -> Result<()> {
        self.inner.append_steps(steps).await
    }

    async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage> {
        self.inner.pending_outbox(after, limit).await
    }

    async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()> {
        self.inner.settle_outbox(ids).await
    }

    async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>> {
        self.inner.record_attempt(id).await
    }

    async fn bury(&self, letter: DeadLetter) -> Result<()> {
        self.inner.bury(letter).await
    }

    async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage> {
        self.inner.dead_letters(after, limit).await
    }

    async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
        self.inner.redrive(ids).await
    }

    async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>> {
        self.inner.history(request).await
    }

    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
        self.inner.threads(query).await
    }

    async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo> {
        self.states.forget(&request.to);
        self.inner.fork(request).await
    }

    async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
        self.inner.prune(request).await
    }

    async fn delete(&self, request: DeleteRequest) -> Result<()> {
        self.states.forget(&request.thread);
        self.inner.delete(request).await
    }
}
