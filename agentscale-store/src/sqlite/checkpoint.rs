//! Checkpoints in a file of SQLite.

mod config;
mod op;
mod prune;
mod rare;
mod read;
mod segment;
mod shared;
mod shares;
mod tips;
mod writer;

use std::path::Path;
use std::sync::Arc;

use agentscale_core::checkpoint::{
    AppendSteps, Attempted, Checkpoint, CheckpointCapabilities, CheckpointInfo, Claim, ClaimRequest, Commit,
    Committed, DeadLetter, DeadLetterPage, DeleteRequest, Durability, ForkRequest, HistoryRequest,
    LoadRequest, OutboxCursor, OutboxEntry, OutboxPage, PruneRequest, Pruned, RecordedOutcome, ThreadPage,
    ThreadQuery, Version,
};
use agentscale_core::time::SystemClock;
use agentscale_core::{AgentId, CheckpointStore, Clock, IdempotencyKey, MessageId, Result};
use async_trait::async_trait;

use crate::checkpoint::check;
use crate::checkpoint::codec;
use crate::checkpoint::refusal::check_fork;
use crate::checkpoint::stats::CheckpointStats;
use crate::delta;
use crate::sqlite::Schema;
pub use config::SqliteCheckpointConfig;
use op::{Reply, Request, Write};
use shared::Shared;

const SCHEMA: Schema = Schema {
    // "ASCP"
    application_id: 0x4153_4350,
    migrations: &[
        include_str!("../../migrations/0001_checkpoints.sql"),
        include_str!("../../migrations/0002_shares.sql"),
    ],
};

/// Threads that are pruned together, at most.
const PRUNED_TOGETHER: usize = 64;

/// Keeps checkpoints in one file of SQLite, in WAL mode.
///
/// One task writes for all callers: what arrives while a transaction is written goes into the next one.
/// *Process* and *disk* commits are answered after their transaction, *disk* after its sync. *Buffered*
/// ones are answered when queued: a crash can take what the queue ([`QueueConfig`](super::QueueConfig))
/// and the transaction under way hold, and a later commit of a thread whose buffered commit failed gets
/// that error. Reads wait for buffered commits of this store.
///
/// Several processes may share the file. Clones share the store. A dropped store writes what it has
/// queued, in the background; [`close`](Self::close) waits for it.
#[derive(Clone, Debug)]
pub struct SqliteCheckpointStore {
    shared: Arc<Shared>,
}

impl SqliteCheckpointStore {
    /// Opens a file with the default configuration; makes it where it does not exist.
    ///
    /// # Errors
    /// Those of [`SqliteConfig::open`](super::SqliteConfig::open).
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteCheckpointConfig::default(), Arc::new(SystemClock::new())).await
    }

    /// Opens a file. The clock is what retention goes by.
    ///
    /// # Errors
    /// Those of [`SqliteConfig::open`](super::SqliteConfig::open).
    pub async fn open_with(
        path: impl AsRef<Path>,
        config: SqliteCheckpointConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let file = config.file.open(path.as_ref(), &SCHEMA).await?;
        Ok(Self { shared: Shared::start(file, config, clock) })
    }

    /// What was written since the store was opened.
    pub fn stats(&self) -> CheckpointStats {
        self.shared.stats()
    }

    /// Waits until all that was queued is written.
    ///
    /// # Errors
    /// `unavailable` for a store that is closed or a file that cannot be written.
    pub async fn flush(&self) -> Result<()> {
        self.shared.done(Request::Barrier, 0).await
    }

    /// Writes what is queued and closes the file; what comes later is `unavailable`.
    ///
    /// # Errors
    /// `unavailable` where the file cannot be closed cleanly; what was acknowledged is in its log then.
    pub async fn close(&self) -> Result<()> {
        self.shared.close().await
    }
}

#[async_trait]
impl CheckpointStore for SqliteCheckpointStore {
    fn capabilities(&self) -> CheckpointCapabilities {
        let mut capabilities = CheckpointCapabilities::new(Durability::Disk, true);
        capabilities.limits = self.shared.limits;
        capabilities
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claim> {
        let thread = request.thread;
        // Read first: the epoch of a thread whose tip is corrupt is not taken.
        let before = self.load(LoadRequest::tip(thread.clone())).await?;
        let reply = self.shared.ask(Request::Claim(thread.clone()), 0).await?;
        let Reply::Claimed { epoch, version, fresh } = reply else { return Err(Reply::unexpected()) };
        let seen = before.as_ref().map_or(Version(0), |tip| tip.info.version);
        // From here on no other owner can move the tip or write to the journal.
        let tip = if seen == version { before } else { self.load(LoadRequest::tip(thread.clone())).await? };
        let steps = if fresh { Vec::new() } else { read::steps(&self.shared.readers, &thread).await? };
        self.shared.learn(thread, epoch, version);
        Ok(Claim::new(epoch, tip).with_steps(steps))
    }

    async fn commit(&self, commit: Commit) -> Result<Committed> {
        let bytes = delta::check_commit(&commit, &self.shared.limits)?;
        check::commit(&commit)?;
        let delta = codec::encode(&commit.fields);
        self.shared.commit(Box::new(Write { commit, delta }), bytes).await
    }

    async fn load(&self, request: LoadRequest) -> Result<Option<Checkpoint>> {
        self.shared.settle_buffered().await?;
        read::checkpoint(&self.shared.readers, &request.thread, request.at).await
    }

    async fn outcome(&self, thread: &AgentId, key: &IdempotencyKey) -> Result<Option<RecordedOutcome>> {
        self.shared.settle_buffered().await?;
        read::outcome(&self.shared.readers, thread, key, self.shared.clock.unix_micros()).await
    }

    async fn append_steps(&self, steps: AppendSteps) -> Result<()> {
        check::steps(&steps)?;
        let bytes = steps.steps.iter().map(|step| step.result.len()).sum();
        self.shared.done(Request::Steps(Box::new(steps)), bytes).await
    }

    async fn pending_outbox(&self, after: Option<OutboxCursor>, limit: usize) -> Result<OutboxPage> {
        self.shared.settle_buffered().await?;
        read::messages::outbox(&self.shared.readers, after, limit).await
    }

    async fn settle_outbox(&self, ids: Vec<MessageId>) -> Result<()> {
        self.shared.done(Request::Settle(ids), 0).await
    }

    async fn record_attempt(&self, id: MessageId) -> Result<Option<Attempted>> {
        match self.shared.ask(Request::Attempt(id), 0).await? {
            Reply::Attempted(attempted) => Ok(attempted),
            _ => Err(Reply::unexpected()),
        }
    }

    async fn bury(&self, letter: DeadLetter) -> Result<()> {
        let bytes = letter.message.message.len();
        self.shared.done(Request::Bury(Box::new(letter)), bytes).await
    }

    async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage> {
        read::messages::letters(&self.shared.readers, after, limit).await
    }

    async fn redrive(&self, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
        match self.shared.ask(Request::Redrive(ids), 0).await? {
            Reply::Redriven(entries) => Ok(entries),
            _ => Err(Reply::unexpected()),
        }
    }

    async fn history(&self, request: HistoryRequest) -> Result<Vec<CheckpointInfo>> {
        self.shared.settle_buffered().await?;
        read::history(&self.shared.readers, &request).await
    }

    async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
        self.shared.settle_buffered().await?;
        read::threads(&self.shared.readers, &query).await
    }

    async fn fork(&self, request: ForkRequest) -> Result<CheckpointInfo> {
        check_fork(&request)?;
        let to = request.to.clone();
        let reply = self.shared.ask(Request::Fork(Box::new(request)), 0).await?;
        let Reply::Forked(info) = reply else { return Err(Reply::unexpected()) };
        self.shared.forget(&to);
        Ok(*info)
    }

    async fn prune(&self, request: PruneRequest) -> Result<Pruned> {
        let mut pruned = Pruned::default();
        let mut after = 0;
        loop {
            let threads =
                read::numbers(&self.shared.readers, request.thread.as_ref(), after, PRUNED_TOGETHER).await?;
            let Some(last) = threads.last() else { return Ok(pruned) };
            after = *last;
            let limit = (request.limit as u64).saturating_sub(pruned.checkpoints);
            let part = prune::checkpoints(&self.shared, &threads, &request.policy, limit).await?;
            pruned.checkpoints += part.checkpoints;
            pruned.outcomes += prune::outcomes(&self.shared, Some(&threads)).await?;
            pruned.more |= part.more;
            if pruned.more {
                return Ok(pruned);
            }
        }
    }

    async fn delete(&self, request: DeleteRequest) -> Result<()> {
        let thread = request.thread.clone();
        self.shared.done(Request::Delete(Box::new(request)), 0).await?;
        self.shared.forget(&thread);
        Ok(())
    }
}
