//! Checkpoints that a log on this machine acknowledges, and that follow to the store that others share.

mod commit;
mod config;
mod entry;
mod flush;
mod head;
mod log;
mod shared;
mod stats;
mod tails;
mod thread;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use agentscale_core::checkpoint::{
    AppendSteps, Attempted, BarrierRequest, Checkpoint, CheckpointCapabilities, CheckpointInfo, Claim,
    ClaimRequest, Commit, Committed, DeadLetter, DeadLetterPage, DeleteRequest, Durability, Epoch,
    ForkRequest, HistoryRequest, LoadRequest, OutboxCursor, OutboxEntry, OutboxPage, PruneRequest, Pruned,
    RecordedOutcome, ThreadPage, ThreadQuery, Version,
};
use agentscale_core::lease::LeaseWatch;
use agentscale_core::{AgentId, CheckpointStore, IdempotencyKey, MessageId, Result};
use async_trait::async_trait;
use tokio::task::JoinHandle;

pub use config::LoggedCheckpointConfig;
pub use stats::{BlockedThread, LoggedCheckpointStats, OrphanedTail};

use head::Head;
use shared::Shared;
use thread::Owned;

/// Acknowledges commits at [`Durability::Local`] once a log on this machine holds them, synced to its device; they follow
/// to the store behind, each thread's in order.
///
/// For a shared store that is far away or now and then gone: an agent goes on to its next turn without waiting for it.
/// What it has sent and answered waits for [`barrier`](CheckpointStore::barrier). Not for a store on the same machine,
/// nor for agents whose callers wait for every answer: those wait for the shared store all the same.
///
/// **Who is safe.** A claim takes its epoch in the shared store, and each commit is shown to it under that epoch. A commit
/// that another owner overtook is refused there, as it is by any store: it is *orphaned*, never applied. `barrier` says
/// so, [`stats`](Self::stats) count it, and the log keeps it for the host to look at ([`orphans`](Self::orphans)).
///
/// **Who may be acknowledged.** Only an agent of a process that holds a lease without which no other one claims its
/// threads, and whose lease has more time left than a commit may take to get to the shared store
/// ([`flush_bound`](LoggedCheckpointConfig::flush_bound)). Without it commits go to the shared store at once, and say so
/// by the level that they reached. So do those that it alone can judge: above *local*; that settle a message; whose
/// idempotency key may be recorded; near a limit in bytes; of threads that this store does not know. Steps of a turn's
/// journal go there, too. A thread's commits never overtake one another.
///
/// **When the shared store fails**, each commit is tried again five times, first after 100 ms, then after twice as long each
/// time. Then its thread is blocked ([`blocked`](Self::blocked)): its next commit waits, as does that of a thread whose
/// oldest commit has waited for the flush bound. The tries go on, and other threads with theirs. Where the log is full
/// commits wait, where its disk is full or broken they go to the shared store.
///
/// **At the start** what an earlier process left in the log is flushed first; a claim of its thread waits for that. One
/// process at a time works with a log. Clones share the store. A store that is dropped stops flushing: what waits stays in
/// the log. Over a store that encrypts, the log is plain; under it, it is not.
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// use agentscale_core::checkpoint::{BarrierRequest, ClaimRequest, Commit, CommitId, Durability, StateHeader};
/// use agentscale_core::lease::{AcquireRequest, Lease, LeaseKey};
/// use agentscale_core::{AgentId, CheckpointStore, MessageId, Tenant};
/// use agentscale_store::{InMemoryLeaseStore, LoggedCheckpointConfig, LoggedCheckpointStore};
/// # use agentscale_store::InMemoryCheckpointStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentscale_core::Result<()> {
/// # let folder = tempfile::tempdir().expect("a folder is made");
/// # let folder = folder.path();
/// # let (shared, leases) = (InMemoryCheckpointStore::new(), Arc::new(InMemoryLeaseStore::new()));
/// let acme = Tenant::new("acme")?;
/// let node = LeaseKey::new(&acme, "shard", "7")?;
/// let request = AcquireRequest::new(node, "host-7".try_into()?, Duration::from_secs(30));
/// let lease = Lease::acquire(leases, request).await?;
/// let config = LoggedCheckpointConfig::default();
/// let store = LoggedCheckpointStore::open(shared, folder.join("log.db"), lease.watch(), config).await?;
///
/// let alice = AgentId::new(&acme, "note", "alice")?;
/// let claim = store.claim(ClaimRequest::new(alice.clone())).await?;
/// let id = CommitId(*MessageId::new(1).as_uuid());
/// let mut commit = Commit::new(id, alice.clone(), claim.epoch, claim.version(), StateHeader::json(1));
/// commit.level = Durability::Local;
/// let committed = store.commit(commit).await?;
/// assert_eq!(committed.level, Durability::Local);
/// // Before the commit's messages leave:
/// store.barrier(BarrierRequest::new(alice, claim.epoch, committed.version)).await?;
/// store.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LoggedCheckpointStore<S> {
    shared: Arc<Shared<S>>,
    flusher: Arc<Flusher>,
}

/// Ends with the last clone of the store.
#[derive(Debug)]
struct Flusher(Mutex<Option<JoinHandle<()>>>);

impl<S> Clone for LoggedCheckpointStore<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), flusher: self.flusher.clone() }
    }
}

impl<S: CheckpointStore> LoggedCheckpointStore<S> {
    /// Opens a log, which is made where it does not exist, before a store, and begins to flush what it holds. The lease
    /// is one without which no process claims threads that this store claims, nor forks into them.
    ///
    /// # Errors
    /// `invalid_input` for a lease that is not longer than the flush bound; `already_exists` for a log that another store
    /// works with; `corrupt` for one that cannot be understood; those of
    /// [`SqliteConfig::open`](crate::sqlite::SqliteConfig::open).
    pub async fn open(
        inner: S,
        log: impl AsRef<Path>,
        lease: LeaseWatch,
        config: LoggedCheckpointConfig,
    ) -> Result<Self> {
        let shared = Shared::open(inner, log.as_ref(), lease, config).await?;
        let flusher = tokio::spawn(flush::run(shared.clone()));
        Ok(Self { shared, flusher: Arc::new(Flusher(Mutex::new(Some(flusher)))) })
    }

    /// Goes on under a lease that was acquired anew, after the one before was lost.
    ///
    /// # Errors
    /// `invalid_input` for a lease that is not longer than the flush bound.
    pub fn renew_lease(&self, lease: LeaseWatch) -> Result<()> {
        self.shared.config.check(&lease)?;
        *self.shared.lease() = lease;
        Ok(())
    }

    /// The store behind.
    pub fn inner(&self) -> &S {
        &self.shared.inner
    }

    /// What was done, and what is held now. Looks at every thread that is remembered.
    pub fn stats(&self) -> LoggedCheckpointStats {
        let mut stats = self.shared.counters.stats();
        for thread in self.shared.all() {
            let entries = thread.entries();
            stats.waiting += entries.len();
            stats.waiting_bytes += entries.iter().map(|entry| entry.room.bytes).sum::<usize>();
            stats.blocked += usize::from(thread.blocked(self.shared.config.flush_bound).is_some());
        }
        stats
    }

    /// Threads that take no commit now, as the shared store does not take theirs.
    pub fn blocked(&self) -> Vec<BlockedThread> {
        let bound = self.shared.config.flush_bound;
        self.shared.all().iter().filter_map(|thread| thread.blocked(bound)).collect()
    }

    /// Waits until all that was acknowledged by now is in the shared store, or left behind.
    ///
    /// # Errors
    /// `unavailable` for a store that is closed before.
    pub async fn flush(&self) -> Result<()> {
        for thread in self.shared.all() {
            thread.drained().await?;
        }
        Ok(())
    }

    /// What takeovers have left behind in this log, by thread and owner, the oldest first.
    ///
    /// # Errors
    /// `unavailable` or `corrupt` for a log that cannot be read.
    pub async fn orphans(&self) -> Result<Vec<OrphanedTail>> {
        self.shared.log.orphans().await
    }

    /// The commits of an orphaned tail, in order: what a host may want to bring into the new owner's state.
    ///
    /// # Errors
    /// `unavailable` or `corrupt` for a log that cannot be read.
    pub async fn orphaned_commits(&self, thread: &AgentId, epoch: Epoch) -> Result<Vec<Commit>> {
        self.shared.log.orphaned_commits(thread, epoch).await
    }

    /// Removes an orphaned tail from the log.
    ///
    /// # Errors
    /// `unavailable` for a log that cannot be written.
    pub async fn forget_orphans(&self, thread: &AgentId, epoch: Epoch) -> Result<()> {
        self.shared.log.forget(thread.clone(), epoch).await
    }

    /// Stops flushing and closes the log; what waits there is flushed by the next process that opens it. What would wait
    /// for it, or be acknowledged by it, is `unavailable` from then on. The store behind stays open.
    ///
    /// # Errors
    /// `unavailable` where the log cannot be closed cleanly; what was acknowledged is in it then.
    pub async fn close(&self) -> Result<()> {
        let flusher = self.flusher.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(flusher) = flusher {
            flusher.abort();
            // It was aborted.
            let _ = flusher.await;
        }
        self.shared.all().iter().for_each(|thread| thread.close());
        self.shared.log.close().await
    }

    /// Waits until what this store has acknowledged of a thread can be read in the shared one.
    async fn drained(&self, thread: &AgentId) -> Result<()> {
        match self.shared.known(thread) {
            Some(thread) => thread.drained().await,
            None => Ok(()),
        }
    }

    /// Takes a thread, all of whose commits are in the shared store; nothing is known of it any more.
    async fn take(&self, thread: &AgentId) -> Result<Owned> {
        let thread = self.shared.thread(thread);
        let mut owned = thread.own().await;
        thread.drained().await?;
        owned.take();
        Ok(owned)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CheckpointStore> CheckpointStore for LoggedCheckpointStore<S> {
    fn capabilities(&self) -> CheckpointCapabilities {
        self.shared.capabilities()
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        let mut owned = self.take(&request.thread).await?;
        let claim = self.shared.inner.claim(request).await?;
        *owned = Some(Head::claimed(&claim));
        Ok(claim)
    }

    async fn commit(&self, commit: Commit) -> Result<Committed> {
        crate::delta::check_commit(&commit, &self.shared.limits())?;
        let thread = self.shared.thread(&commit.thread);
        let owned = thread.own().await;
        if thread.holds(&commit) && commit.level <= Durability::Local && self.shared.is_leased() {
            return Ok(Committed::new(Version(commit.expected.0 + 1), Durability::Local));
        }
        match self.acknowledge(&thread, owned, commit).await? {
            Ok(committed) => Ok(committed),
            Err((owned, commit)) => self.write_through(&thread, owned, commit).await,
        }
    }

    async fn barrier(&self, request: BarrierRequest) -> Result<()> {
        if let Some(thread) = self.shared.known(&request.thread) {
            thread.settled(request.epoch, request.version).await?;
        }
        self.shared.inner.barrier(request).await
    }

    async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
        self.drained(&request.thread).await?;
        self.shared.inner.load(request).await
    }

    async fn outcome(&self, thread: &AgentId, key: &IdempotencyKey) -> Result<Option<RecordedOutcome>> {
        let known = self.shared.known(thread);
        if let Some(thread) = known.as_ref().filter(|thread| thread.holds_outcome(key)) {
            thread.drained().await?;
        }
        let Some(known) = known else { return self.shared.inner.outcome(thread, key).await };
        // The owner's next commit may record this key: nobody else does.
        let mut owned = known.own().await;
        let outcome = self.shared.inner.outcome(thread, key).await?;
        if let Some(head) = owned.as_mut().filter(|_| outcome.is_none() && !known.holds_outcome(key)) {
            head.key_is_free(key);
        }
        Ok(outcome)
    }

    async fn append_steps(&self, steps: AppendSteps) -> Result<()> {
        let thread = self.shared.thread(&steps.thread);
        // Behind the commits that have begun, and beside other steps.
        drop(thread.own().await);
        thread.drained().await?;
        self.shared.inner.append_steps(steps).await
    }

    async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage> {
        self.shared.inner.pending_outbox(after, limit).await
    }

    async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()> {
        self.shared.tails.sent(&ids).await?;
        self.shared.inner.settle_outbox(ids).await
    }

    async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>> {
        self.shared.tails.sent(&[id]).await?;
        self.shared.inner.record_attempt(id).await
    }

    async fn bury(&self, letter: DeadLetter) -> Result<()> {
        self.shared.tails.sent(&[letter.message.id]).await?;
        self.shared.inner.bury(letter).await
    }

    async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage> {
        self.shared.inner.dead_letters(after, limit).await
    }

    async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
        self.shared.inner.redrive(ids).await
    }

    async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>> {
        self.drained(&request.thread).await?;
        self.shared.inner.history(request).await
    }

    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
        self.shared.inner.threads(query).await
    }

    async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo> {
        self.drained(&request.from).await?;
        let _owned = self.take(&request.to).await?;
        self.shared.inner.fork(request).await
    }

    async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
        if let Some(thread) = &request.thread {
            self.drained(thread).await?;
        }
        self.shared.inner.prune(request).await
    }

    async fn delete(&self, request: DeleteRequest) -> Result<()> {
        let _owned = self.take(&request.thread).await?;
        self.shared.inner.delete(request).await
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        let flusher = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(flusher) = flusher.take() {
            flusher.abort();
        }
    }
}
