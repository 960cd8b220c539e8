//! Checkpoints in a database of PostgreSQL.

mod commit;
mod config;
mod database;
mod forks;
mod known;
mod lane;
mod op;
mod prune;
mod rare;
mod read;
mod shared;
mod statements;
mod steps;
mod via;

use std::sync::Arc;

use agentscale_core::checkpoint::{
    AppendSteps, Attempted, Checkpoint, CheckpointCapabilities, CheckpointInfo, Claim, ClaimRequest, Commit,
    Committed, DeadLetter, DeadLetterPage, DeleteRequest, Durability, ForkRequest, HistoryRequest,
    LoadRequest, OutboxCursor, OutboxEntry, OutboxPage, PruneRequest, Pruned, RecordedOutcome, ThreadPage,
    ThreadQuery,
};
use agentscale_core::time::SystemClock;
use agentscale_core::{AgentId, CheckpointStore, Clock, Error, ErrorKind, IdempotencyKey, MessageId, Result};
use async_trait::async_trait;

use super::{Component, Postgres};
use crate::checkpoint::check;
use crate::checkpoint::refusal::check_fork;
use crate::checkpoint::stats::CheckpointStats;
use crate::delta;
pub use config::PostgresCheckpointConfig;
use op::Work;
use read::messages;
use shared::Shared;

const COMPONENT: Component = Component {
    name: "checkpoints",
    migrations: &[
        include_str!("../../migrations/postgres/0001_checkpoints.sql"),
        include_str!("../../migrations/postgres/0002_shares.sql"),
        include_str!("../../migrations/postgres/0003_whole_rows.sql"),
    ],
};

/// Keeps checkpoints in one schema of a PostgreSQL database, which many instances may share.
///
/// A few tasks write for all callers, each for its share of the threads: what arrives while a statement is under way
/// goes into the next one, a commit of each thread at most. The statement compares epoch and version of every commit,
/// so that an owner that was frozen moves nothing, whatever was thought here. It passes over what another connection
/// holds; a commit so held waits for it alone, for [`lock_timeout`](super::PostgresConfig::lock_timeout).
///
/// *Process* and *disk* commits are answered after their transaction, which the server syncs (`synchronous_commit` is
/// turned on where it is off); where it has `fsync` off, *disk* is `unsupported`. *Buffered* ones are answered when
/// queued: a crash can take what the queues and the statements under way hold, and a later commit of a thread whose
/// buffered commit failed gets that error. Reads wait for buffered commits of this store.
///
/// A commit whose connection was lost is sent once more, under its id. Errors are those of
/// [`map_error`](super::map_error).
///
/// Clones share the store. A dropped store writes what it has queued, in the background; [`close`](Self::close) waits.
#[derive(Clone, Debug)]
pub struct PostgresCheckpointStore {
    shared: Arc<Shared>,
}

impl PostgresCheckpointStore {
    /// Opens a database with the default configuration.
    ///
    /// # Errors
    /// Those of [`Postgres::open`] and [`Postgres::migrate`].
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(url, PostgresCheckpointConfig::default(), Arc::new(SystemClock::new())).await
    }

    /// Opens a database. The clock is what retention goes by.
    ///
    /// # Errors
    /// Those of [`Postgres::open`] and [`Postgres::migrate`].
    pub async fn open_with(
        url: &str,
        config: PostgresCheckpointConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let postgres = Postgres::open(url, &config.database, config.writers).await?;
        postgres.migrate(&COMPONENT).await?;
        Ok(Self { shared: Shared::start(postgres, config, clock) })
    }

    /// What was written since the store was opened.
    pub fn stats(&self) -> CheckpointStats {
        self.shared.database.counters.stats()
    }

    /// The database.
    pub fn postgres(&self) -> &Postgres {
        &self.shared.database.postgres
    }

    /// Waits until all that was queued is written.
    ///
    /// # Errors
    /// `unavailable` for a store that is closed.
    pub async fn flush(&self) -> Result<()> {
        self.shared.flush().await
    }

    /// Writes what is queued and closes the connections; what comes later is `unavailable`.
    ///
    /// # Errors
    /// `internal` for a writer that has ended by a defect.
    pub async fn close(&self) -> Result<()> {
        self.shared.close().await
    }

    fn check_level(&self, level: Durability) -> Result<()> {
        if level > self.shared.database.level {
            return Err(Error::new(ErrorKind::Unsupported, "commit")
                .with_context("level", "disk")
                .with_context("reason", "the server has fsync off"));
        }
        Ok(())
    }
}

#[async_trait]
impl CheckpointStore for PostgresCheckpointStore {
    fn capabilities(&self) -> CheckpointCapabilities {
        let mut capabilities = CheckpointCapabilities::new(self.shared.database.level, true);
        capabilities.limits = self.shared.database.limits;
        capabilities
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        rare::claim(&self.shared, request.thread).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed> {
        let bytes = delta::check_commit(&commit, &self.shared.database.limits)?;
        check::codec(&commit)?;
        check::commit(&commit)?;
        self.check_level(commit.level)?;
        self.shared.commit(commit, bytes).await
    }

    async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
        self.shared.settle_buffered().await?;
        let statements = &self.shared.database.statements;
        read::checkpoint(&mut self.shared.via(), statements, &request.thread, request.at).await
    }

    async fn outcome(&self, thread: &AgentId, key: &IdempotencyKey) -> Result<Option<RecordedOutcome>> {
        self.shared.settle_buffered().await?;
        let database = &self.shared.database;
        let now = database.clock.unix_micros();
        read::outcome(&mut self.shared.via(), &database.statements, thread, key, now).await
    }

    async fn append_steps(&self, steps: AppendSteps) -> Result<()> {
        check::steps(&steps)?;
        self.check_level(steps.level)?;
        let bytes = steps.steps.iter().map(|step| step.result.len()).sum();
        let thread = steps.thread.clone();
        self.shared.done(&thread, Work::Steps(Box::new(steps)), bytes).await
    }

    async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage> {
        self.shared.settle_buffered().await?;
        messages::outbox(&mut self.shared.via(), &self.shared.database.statements, after, limit).await
    }

    async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()> {
        rare::settle(&self.shared, &ids).await
    }

    async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>> {
        rare::attempt(&self.shared, id).await
    }

    async fn bury(&self, letter: DeadLetter) -> Result<()> {
        rare::bury(&self.shared, letter).await
    }

    async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage> {
        messages::letters(&mut self.shared.via(), &self.shared.database.statements, after, limit).await
    }

    async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
        rare::redrive(&self.shared, &ids).await
    }

    async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>> {
        self.shared.settle_buffered().await?;
        read::history(&mut self.shared.via(), &self.shared.database.statements, &request).await
    }

    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
        self.shared.settle_buffered().await?;
        read::threads(&mut self.shared.via(), &self.shared.database.statements, &query).await
    }

    async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo> {
        check_fork(&request)?;
        forks::fork(&self.shared, request).await
    }

    async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
        self.shared.settle_buffered().await?;
        prune::request(&self.shared.database, request).await
    }

    async fn delete(&self, request: DeleteRequest) -> Result<()> {
        rare::delete(&self.shared, request).await
    }
}
