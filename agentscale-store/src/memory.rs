//! Checkpoints in the memory of one process.

mod messages;
mod thread;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::checkpoint::{
    AppendSteps, Attempted, Checkpoint, CheckpointCapabilities, CheckpointInfo, CheckpointOrigin, Claim,
    ClaimRequest, Commit, CommitId, Committed, DeadLetter, DeadLetterPage, DeleteRequest, Durability,
    ForkRequest, HistoryRequest, LoadRequest, OutboxCursor, OutboxEntry, OutboxPage, PruneRequest, Pruned,
    RecordedOutcome, RetentionPolicy, StateLimits, ThreadPage, ThreadQuery,
};
use agentscale_core::time::SystemClock;
use agentscale_core::{AgentId, CheckpointStore, Clock, Error, ErrorKind, IdempotencyKey, MessageId, Result};
use async_trait::async_trait;

use crate::checkpoint::refusal::{SETTLED, check_fork, conflict, fenced, fork_error};
use crate::delta;
use crate::retention::expires;
use messages::Messages;
use thread::Thread;

/// Keeps checkpoints while its process lives, for tests and for hosts that need no more.
///
/// Clones share what is kept. Levels above [`Durability::Process`] are `unsupported`, and `Process`
/// itself holds only as long as the process does: nothing survives its death.
#[derive(Clone, Debug)]
pub struct InMemoryCheckpointStore {
    kept: Arc<Mutex<Kept>>,
    limits: StateLimits,
    retention: Option<RetentionPolicy>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct Kept {
    threads: BTreeMap<AgentId, Thread>,
    messages: Messages,
    /// When outcomes end, soonest first; some may be gone already.
    ends: BTreeSet<(u64, AgentId, IdempotencyKey)>,
}

impl Kept {
    /// Forgets outcomes whose retention has ended.
    fn expire(&mut self, now: u64) {
        while let Some(first) = self.ends.first()
            && first.0 <= now
            && let Some((_, thread, key)) = self.ends.pop_first()
        {
            if let Some(thread) = self.threads.get_mut(&thread) {
                thread.expire(&key, now);
            }
        }
    }
}

impl InMemoryCheckpointStore {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            kept: Arc::default(),
            limits: StateLimits::default(),
            retention: Some(RetentionPolicy::default()),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Other limits in bytes.
    #[must_use]
    pub fn with_limits(mut self, limits: StateLimits) -> Self {
        self.limits = limits;
        self
    }

    /// What stays of each thread; nothing is pruned unasked where `None`. The default policy by default.
    #[must_use]
    pub fn with_retention(mut self, retention: Option<RetentionPolicy>) -> Self {
        self.retention = retention;
        self
    }

    /// The clock that retention goes by.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing under the lock panics half way through a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for InMemoryCheckpointStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl CheckpointStore for InMemoryCheckpointStore {
    fn capabilities(&self) -> CheckpointCapabilities {
        let mut capabilities = CheckpointCapabilities::new(Durability::Process, false);
        capabilities.limits = self.limits;
        capabilities
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        let mut kept = self.kept();
        let thread = kept.threads.entry(request.thread).or_default();
        thread.epoch.counter += 1;
        thread.deleted = false;
        Ok(Claim::new(thread.epoch, thread.tip().map(thread::Kept::checkpoint)).with_steps(thread.steps()))
    }

    async fn commit(&self, commit: Commit) -> Result<Committed> {
        delta::check_commit(&commit, &self.limits)?;
        check_level(commit.level)?;
        let now = self.clock.unix_micros();
        let mut kept = self.kept();
        let Kept { threads, messages, ends } = &mut *kept;
        let thread = owned(threads, &commit.thread, commit.epoch, "commit")?;
        if let Some(version) = thread.repeated(&commit) {
            return Ok(Committed::new(version, Durability::Process));
        }
        if commit.settles.is_some_and(|id| !messages.is_pending(id)) {
            return Err(conflict("commit", &commit.thread, SETTLED));
        }
        let version = thread.commit(&commit, &self.limits, now)?;
        if let Some(policy) = &self.retention {
            thread.prune_due(policy, now);
        }
        if let Some(outcome) = commit.outcome {
            ends.insert((expires(&outcome, now), commit.thread.clone(), outcome.key));
        }
        messages.settle(commit.settles.as_slice());
        for message in commit.outbox {
            messages.add(OutboxEntry::new(commit.thread.clone(), message, 0));
        }
        if self.retention.is_some() {
            kept.expire(now);
        }
        Ok(Committed::new(version, Durability::Process))
    }

    async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
        let kept = self.kept();
        let found = kept.threads.get(&request.thread).and_then(|thread| thread.at(request.at));
        Ok(found.map(thread::Kept::checkpoint))
    }

    async fn outcome(&self, thread: &AgentId, key: &IdempotencyKey) -> Result<Option<RecordedOutcome>> {
        let now = self.clock.unix_micros();
        Ok(self.kept().threads.get(thread).and_then(|thread| thread.outcome(key, now)).cloned())
    }

    async fn append_steps(&self, steps: AppendSteps) -> Result<()> {
        check_level(steps.level)?;
        let mut kept = self.kept();
        owned(&mut kept.threads, &steps.thread, steps.epoch, "append steps")?.append(steps)
    }

    async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage> {
        Ok(self.kept().messages.pending(after, limit))
    }

    async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()> {
        self.kept().messages.settle(&ids);
        Ok(())
    }

    async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>> {
        Ok(self.kept().messages.attempt(id))
    }

    async fn bury(&self, letter: DeadLetter) -> Result<()> {
        self.kept().messages.bury(letter);
        Ok(())
    }

    async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage> {
        Ok(self.kept().messages.letters(after, limit))
    }

    async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
        Ok(self.kept().messages.redrive(&ids))
    }

    async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>> {
        let kept = self.kept();
        Ok(kept.threads.get(&request.thread).map(|thread| thread.history(&request)).unwrap_or_default())
    }

    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
        Ok(thread::page(&self.kept().threads, &query))
    }

    async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo> {
        check_fork(&request)?;
        let now = self.clock.unix_micros();
        let mut kept = self.kept();
        let source = kept.threads.get(&request.from).and_then(|thread| thread.at(request.at));
        let source = source.ok_or_else(|| fork_error(ErrorKind::NotFound, &request.from))?.checkpoint();
        let target = kept.threads.entry(request.to.clone()).or_default();
        if target.tip().is_some() {
            return Err(fork_error(ErrorKind::AlreadyExists, &request.to));
        }
        let origin = CheckpointOrigin::Fork { from: request.from, version: source.info.version };
        let id = CommitId(*MessageId::new(now).as_uuid());
        Ok(target.start(request.to, id, source, origin, now))
    }

    async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
        let now = self.clock.unix_micros();
        Ok(thread::prune(&mut self.kept().threads, &request, now))
    }

    async fn delete(&self, request: DeleteRequest) -> Result<()> {
        let mut kept = self.kept();
        let Kept { threads, messages, .. } = &mut *kept;
        owned(threads, &request.thread, request.epoch, "delete thread")?.delete();
        messages.forget(&request.thread);
        Ok(())
    }
}

fn check_level(level: Durability) -> Result<()> {
    if level > Durability::Process {
        return Err(Error::new(ErrorKind::Unsupported, "commit").with_context("level", "disk"));
    }
    Ok(())
}

fn owned<'a>(
    threads: &'a mut BTreeMap<AgentId, Thread>,
    id: &AgentId,
    epoch: agentscale_core::checkpoint::Epoch,
    operation: &'static str,
) -> Result<&'a mut Thread> {
    threads.get_mut(id).filter(|thread| thread.epoch == epoch).ok_or_else(|| fenced(operation, id))
}
