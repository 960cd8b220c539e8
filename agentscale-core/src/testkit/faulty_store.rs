use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::checkpoint::{
    AppendSteps, Attempted, BarrierRequest, Checkpoint, CheckpointCapabilities, CheckpointInfo, Claim,
    ClaimRequest, Commit, Committed, DeadLetter, DeadLetterPage, DeleteRequest, ForkRequest, HistoryRequest,
    LoadRequest, OutboxCursor, OutboxEntry, OutboxPage, PruneRequest, Pruned, RecordedOutcome, ThreadPage,
    ThreadQuery,
};
use crate::{AgentId, CheckpointStore, Error, ErrorKind, IdempotencyKey, MessageId, Result};

/// An operation of [`CheckpointStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreOperation {
    /// [`CheckpointStore::claim`].
    Claim,
    /// [`CheckpointStore::commit`].
    Commit,
    /// [`CheckpointStore::barrier`].
    Barrier,
    /// [`CheckpointStore::load`].
    Load,
    /// [`CheckpointStore::outcome`].
    Outcome,
    /// [`CheckpointStore::append_steps`].
    AppendSteps,
    /// [`CheckpointStore::pending_outbox`].
    PendingOutbox,
    /// [`CheckpointStore::settle_outbox`].
    SettleOutbox,
    /// [`CheckpointStore::record_attempt`].
    RecordAttempt,
    /// [`CheckpointStore::bury`].
    Bury,
    /// [`CheckpointStore::dead_letters`].
    DeadLetters,
    /// [`CheckpointStore::redrive`].
    Redrive,
    /// [`CheckpointStore::history`].
    History,
    /// [`CheckpointStore::threads`].
    Threads,
    /// [`CheckpointStore::fork`].
    Fork,
    /// [`CheckpointStore::prune`].
    Prune,
    /// [`CheckpointStore::delete`].
    Delete,
}

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// The store is not asked, and the call fails with this kind.
    Fail(ErrorKind),
    /// The store is asked, and the caller gets `unavailable` whatever it answered.
    LoseAnswer,
    /// The store is asked after so much tokio time.
    Delay(Duration),
    /// The call never ends, and the store is not asked.
    Hang,
}

/// A store whose calls fail, hang, wait or lose their answers, by script or by chance. Without faults it
/// is the store within.
///
/// ```
/// # use std::sync::Arc;
/// # use agentscale_core::{CheckpointStore, ErrorKind};
/// use agentscale_core::testkit::{FaultyStore, StoreFault, StoreOperation};
///
/// # fn example(store: Arc<dyn CheckpointStore>) {
/// let faulty = FaultyStore::new(store);
/// faulty.inject(StoreOperation::Commit, StoreFault::LoseAnswer); // the next commit
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStore<S> {
    inner: S,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    script: HashMap<StoreOperation, VecDeque<StoreFault>>,
    chance: Option<Chance>,
    met: u64,
}

#[derive(Debug)]
struct Chance {
    random: fastrand::Rng,
    rate: f64,
}

impl<S> FaultyStore<S> {
    /// A store without faults yet.
    pub fn new(inner: S) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// Lets a share of all calls, from 0 to 1, fail as `unavailable` or lose their answer; the same seed
    /// gives the same faults.
    #[must_use]
    pub fn with_chance(self, seed: u64, rate: f64) -> Self {
        self.plan().chance = Some(Chance { random: fastrand::Rng::with_seed(seed), rate });
        self
    }

    /// Adds a fault for the next call of an operation that has none yet.
    pub fn inject(&self, operation: StoreOperation, fault: StoreFault) {
        self.plan().script.entry(operation).or_default().push_back(fault);
    }

    /// How many calls met a fault.
    pub fn met(&self) -> u64 {
        self.plan().met
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        // Nothing under the lock panics half way through a change.
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn meet<T>(&self, operation: StoreOperation, call: impl Future<Output = Result<T>>) -> Result<T> {
        let fault = self.plan().next(operation);
        match fault {
            None => call.await,
            Some(StoreFault::Fail(kind)) => Err(injected(kind)),
            Some(StoreFault::LoseAnswer) => {
                // A refusal is lost like any other answer.
                drop(call.await);
                Err(injected(ErrorKind::Unavailable))
            }
            Some(StoreFault::Delay(time)) => {
                tokio::time::sleep(time).await;
                call.await
            }
            Some(StoreFault::Hang) => std::future::pending().await,
        }
    }
}

impl Plan {
    fn next(&mut self, operation: StoreOperation) -> Option<StoreFault> {
        let scripted = self.script.get_mut(&operation).and_then(VecDeque::pop_front);
        let fault = scripted.or_else(|| self.chance.as_mut().and_then(Chance::next));
        self.met += u64::from(fault.is_some());
        fault
    }
}

impl Chance {
    fn next(&mut self) -> Option<StoreFault> {
        if self.random.f64() >= self.rate {
            return None;
        }
        Some(if self.random.bool() {
            StoreFault::Fail(ErrorKind::Unavailable)
        } else {
            StoreFault::LoseAnswer
        })
    }
}

fn injected(kind: ErrorKind) -> Error {
    Error::new(kind, "injected fault")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: CheckpointStore> CheckpointStore for FaultyStore<S> {
    fn capabilities(&self) -> CheckpointCapabilities {
        self.inner.capabilities()
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        self.meet(StoreOperation::Claim, self.inner.claim(request)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed> {
        self.meet(StoreOperation::Commit, self.inner.commit(commit)).await
    }

    async fn barrier(&self, request: BarrierRequest) -> Result<()> {
        self.meet(StoreOperation::Barrier, self.inner.barrier(request)).await
    }

    async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
        self.meet(StoreOperation::Load, self.inner.load(request)).await
    }

    async fn outcome(&self, thread: &AgentId, key: &IdempotencyKey) -> Result<Option<RecordedOutcome>> {
        self.meet(StoreOperation::Outcome, self.inner.outcome(thread, key)).await
    }

    async fn append_steps(&self, steps: AppendSteps) -> Result<()> {
        self.meet(StoreOperation::AppendSteps, self.inner.append_steps(steps)).await
    }

    async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage> {
        self.meet(StoreOperation::PendingOutbox, self.inner.pending_outbox(after, limit)).await
    }

    async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()> {
        self.meet(StoreOperation::SettleOutbox, self.inner.settle_outbox(ids)).await
    }

    async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>> {
        self.meet(StoreOperation::RecordAttempt, self.inner.record_attempt(id)).await
    }

    async fn bury(&self, letter: DeadLetter) -> Result<()> {
        self.meet(StoreOperation::Bury, self.inner.bury(letter)).await
    }

    async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage> {
        self.meet(StoreOperation::DeadLetters, self.inner.dead_letters(after, limit)).await
    }

    async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
        self.meet(StoreOperation::Redrive, self.inner.redrive(ids)).await
    }

    async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>> {
        self.meet(StoreOperation::History, self.inner.history(request)).await
    }

    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
        self.meet(StoreOperation::Threads, self.inner.threads(query)).await
    }

    async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo> {
        self.meet(StoreOperation::Fork, self.inner.fork(request)).await
    }

    async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
        self.meet(StoreOperation::Prune, self.inner.prune(request)).await
    }

    async fn delete(&self, request: DeleteRequest) -> Result<()> {
        self.meet(StoreOperation::Delete, self.inner.delete(request)).await
    }
}
