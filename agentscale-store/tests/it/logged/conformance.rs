//! The suite of the trait through a log, with the levels as asked and with *local* for *process*.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale_core::checkpoint::*;
use agentscale_core::conformance::checkpoint::CheckpointStoreHarness;
use agentscale_core::lease::Lease;
use agentscale_core::testkit::TestServer;
use agentscale_core::{AgentId, CheckpointStore, IdempotencyKey, MessageId, Result};
use agentscale_store::{LoggedCheckpointConfig, LoggedCheckpointStore};
use async_trait::async_trait;
use tempfile::TempDir;

use super::scene::lease;
use crate::conformance::{Memory, Sqlite};

/// A log in a file, before the store of another harness.
pub(crate) struct Logged<H> {
    inner: H,
    folder: TempDir,
    lease: Mutex<Option<Lease>>,
}

impl<H: CheckpointStoreHarness> Logged<H> {
    pub(crate) fn new(inner: H) -> Self {
        let folder = tempfile::tempdir().expect("a folder is made");
        Self { inner, folder, lease: Mutex::new(None) }
    }

    async fn open(&self, limits: StateLimits) -> LoggedCheckpointStore<Arc<dyn CheckpointStore>> {
        let lease = lease(Duration::from_secs(60)).await;
        let config = LoggedCheckpointConfig::default();
        let inner = self.inner.start(limits).await;
        let store =
            LoggedCheckpointStore::open(inner, self.folder.path().join("log.db"), lease.watch(), config)
                .await
                .expect("the log opens");
        *self.lease.lock().expect("no test panics with it") = Some(lease);
        store
    }
}

#[async_trait]
impl<H: CheckpointStoreHarness> CheckpointStoreHarness for Logged<H> {
    async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
        Arc::new(self.open(limits).await)
    }

    async fn pass(&self, time: Duration) {
        self.inner.pass(time).await;
    }

    fn server(&self) -> Option<TestServer> {
        self.inner.server()
    }
}

/// Asks for *local* where the suite asks for *process*, and says nothing of it. What is read across threads waits for
/// the flush.
pub(crate) struct Locally<H>(pub(crate) Logged<H>);

#[async_trait]
impl<H: CheckpointStoreHarness> CheckpointStoreHarness for Locally<H> {
    async fn start(&self, limits: StateLimits) -> Arc<dyn CheckpointStore> {
        Arc::new(Lowered(self.0.open(limits).await))
    }

    async fn pass(&self, time: Duration) {
        self.0.pass(time).await;
    }

    fn server(&self) -> Option<TestServer> {
        self.0.server()
    }
}

#[derive(Debug)]
struct Lowered(LoggedCheckpointStore<Arc<dyn CheckpointStore>>);

#[async_trait]
impl CheckpointStore for Lowered {
    fn capabilities(&self) -> CheckpointCapabilities {
        self.0.capabilities()
    }
    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        self.0.claim(request).await
    }
    async fn commit(&self, mut commit: Commit) -> Result<Committed> {
        let asked = commit.level;
        if asked == Durability::Process {
            commit.level = Durability::Local;
        }
        let committed = self.0.commit(commit).await?;
        Ok(Committed::new(committed.version, committed.level.max(asked)))
    }
    async fn barrier(&self, request: BarrierRequest) -> Result<()> {
        self.0.barrier(request).await
    }
    async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
        self.0.load(request).await
    }
    async fn outcome(&self, thread: &AgentId, key: &IdempotencyKey) -> Result<Option<RecordedOutcome>> {
        self.0.outcome(thread, key).await
    }
    async fn append_steps(&self, steps: AppendSteps) -> Result<()> {
        self.0.append_steps(steps).await
    }
    async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage> {
        self.0.flush().await?;
        self.0.pending_outbox(after, limit).await
    }
    async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()> {
        self.0.settle_outbox(ids).await
    }
    async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>> {
        self.0.record_attempt(id).await
    }
    async fn bury(&self, letter: DeadLetter) -> Result<()> {
        self.0.bury(letter).await
    }
    async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage> {
        self.0.dead_letters(after, limit).await
    }
    async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
        self.0.redrive(ids).await
    }
    async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>> {
        self.0.history(request).await
    }
    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
        self.0.flush().await?;
        self.0.threads(query).await
    }
    async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo> {
        self.0.fork(request).await
    }
    async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
        self.0.flush().await?;
        self.0.prune(request).await
    }
    async fn delete(&self, request: DeleteRequest) -> Result<()> {
        self.0.delete(request).await
    }
}

mod memory {
    use super::{Locally, Logged, Memory};
    agentscale_core::checkpoint_store_conformance!(Locally(Logged::new(Memory)));
}

mod sqlite {
    use super::{Logged, Sqlite};
    agentscale_core::checkpoint_store_conformance!(Logged::new(Sqlite::new()));
}

mod sqlite_locally {
    use super::{Locally, Logged, Sqlite};
    agentscale_core::checkpoint_store_conformance!(Locally(Logged::new(Sqlite::new())));
}

#[cfg(all(feature = "cache", feature = "encryption"))]
mod decorated {
    use super::{Locally, Logged, Sqlite};
    use crate::conformance::cached::Cached;
    use crate::conformance::encrypted::Encrypted;

    mod around {
        use super::{Cached, Encrypted, Locally, Logged, Sqlite};
        agentscale_core::checkpoint_store_conformance!(Cached(Encrypted(Locally(
            Logged::new(Sqlite::new())
        ))));
    }

    mod within {
        use super::{Encrypted, Locally, Logged, Sqlite};
        agentscale_core::checkpoint_store_conformance!(Locally(Logged::new(Encrypted(Sqlite::new()))));
    }
}
