use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tower_layer::Layer;
use tower_service::Service;

use super::{call, shared_service};
use crate::checkpoint::{
    AppendSteps, Attempted, BarrierRequest, Checkpoint, CheckpointCapabilities, CheckpointInfo,
    CheckpointStore, Claim, ClaimRequest, Commit, Committed, DeadLetter, DeadLetterPage, DeleteRequest,
    ForkRequest, HistoryRequest, LoadRequest, OutboxCursor, OutboxEntry, OutboxPage, PruneRequest, Pruned,
    RecordedOutcome, ThreadPage, ThreadQuery,
};
use crate::{AgentId, Error, IdempotencyKey, MessageId, Result};

shared_service! {
    /// The commits of a [`CheckpointStore`] as a service. A commit may be sent again under its id.
    CheckpointService over CheckpointStore:
    Commit => Committed: |store, commit| store.commit(commit);
}

/// A [`CheckpointStore`] whose commits go through a stack of layers; its other calls do not.
#[derive(Clone, Debug)]
pub struct ServiceCheckpointStore<S, C> {
    stack: S,
    store: Arc<C>,
}

impl<S, C: CheckpointStore> ServiceCheckpointStore<S, C> {
    /// Puts a layer, or a stack of them, before the commits of a store.
    pub fn layered<L: Layer<CheckpointService<Arc<C>>, Service = S>>(store: C, layer: &L) -> Self {
        let store = Arc::new(store);
        Self { stack: layer.layer(CheckpointService::new(Arc::clone(&store))), store }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S, C> CheckpointStore for ServiceCheckpointStore<S, C>
where
    S: Clone + Debug + Send + Sync + 'static,
    S: Service<Commit, Response = Committed, Error = Error, Future: Send>,
    C: CheckpointStore,
{
    fn capabilities(&self) -> CheckpointCapabilities {
        self.store.capabilities()
    }
    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        self.store.claim(request).await
    }
    async fn commit(&self, commit: Commit) -> Result<Committed> {
        call(&self.stack, commit).await
    }
    async fn barrier(&self, request: BarrierRequest) -> Result<()> {
        self.store.barrier(request).await
    }
    async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
        self.store.load(request).await
    }
    async fn outcome(&self, thread: &AgentId, key: &IdempotencyKey) -> Result<Option<RecordedOutcome>> {
        self.store.outcome(thread, key).await
    }
    async fn append_steps(&self, steps: AppendSteps) -> Result<()> {
        self.store.append_steps(steps).await
    }
    async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage> {
        self.store.pending_outbox(after, limit).await
    }
    async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()> {
        self.store.settle_outbox(ids).await
    }
    async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>> {
        self.store.record_attempt(id).await
    }
    async fn bury(&self, letter: DeadLetter) -> Result<()> {
        self.store.bury(letter).await
    }
    async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage> {
        self.store.dead_letters(after, limit).await
    }
    async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
        self.store.redrive(ids).await
    }
    async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>> {
        self.store.history(request).await
    }
    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
        self.store.threads(query).await
    }
    async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo> {
        self.store.fork(request).await
    }
    async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
        self.store.prune(request).await
    }
    async fn delete(&self, request: DeleteRequest) -> Result<()> {
        self.store.delete(request).await
    }
}
