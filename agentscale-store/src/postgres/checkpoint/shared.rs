use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use agentscale_core::checkpoint::{Commit, Committed, Durability, Epoch, Version};
use agentscale_core::{AgentId, Clock, Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::config::PostgresCheckpointConfig;
use super::database::Database;
use super::known::Known;
use super::lane::Lane;
use super::op::{Op, Reply, Shape, Work, Write};
use super::statements::Statements;
use super::via::Via;
use crate::checkpoint::answer::Answer;
use crate::checkpoint::buffered::Buffered;
use crate::checkpoint::codec;
use crate::checkpoint::due::{self, Due};
use crate::checkpoint::names::Names;
use crate::checkpoint::stats::Counters;
use crate::group::GroupWriter;
use crate::postgres::Postgres;

/// What the clones of a store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) database: Arc<Database>,
    pub(super) buffered: Buffered,
    lanes: Vec<GroupWriter<Op>>,
}

impl Shared {
    pub(super) fn start(
        postgres: Postgres,
        config: PostgresCheckpointConfig,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let (due, threads) = config.retention.as_ref().map(Due::new).unzip();
        let database = Arc::new(Database {
            statements: Statements::new(&postgres),
            level: if postgres.syncs() { Durability::Disk } else { Durability::Process },
            postgres,
            limits: config.limits,
            clock,
            known: Known::new(config.remembered_threads),
            counters: Counters::default(),
            due,
            patience: config.database.lock_timeout,
        });
        let lanes = (0..config.writers.max(1))
            .map(|_| GroupWriter::spawn(Lane::new(database.clone()), &config.queue))
            .collect();
        let shared = Arc::new(Self { database, buffered: Buffered::default(), lanes });
        if let Some((policy, threads)) = config.retention.zip(threads) {
            // It ends when the store does, which holds the other end of the channel.
            tokio::spawn(due::run(Arc::downgrade(&shared), threads, policy));
        }
        shared
    }

    pub(super) fn via(&self) -> Via<'_> {
        Via::Pool(&self.database.postgres)
    }

    pub(super) async fn commit(&self, commit: Commit, bytes: usize) -> Result<Committed> {
        if let Some(error) = self.buffered.take_failure(&commit.thread) {
            return Err(error);
        }
        if commit.settles.is_some() {
            // The message may stand in a commit that is queued for another writer.
            self.settle_buffered().await?;
        }
        let (epoch, expected) = (commit.epoch, commit.expected);
        let is_buffered = commit.level <= Durability::Buffered;
        let thread = commit.thread.clone();
        let delta = codec::encode(&commit.fields);
        let (shape, names, behind) = (Shape::Change, Names::UNKNOWN, None);
        let write = Box::new(Write { commit, delta, shape, names, behind, now: 0 });
        if is_buffered && let Some(receipt) = self.buffered.enter(&thread, epoch, expected) {
            let op = Op { work: Work::Commit(write), answer: Answer::Buffered(receipt) };
            self.lane(&thread).submit(op, bytes).await?;
            return Ok(Committed::new(Version(expected.0 + 1), Durability::Buffered));
        }
        match self.ask(&thread, Work::Commit(write), bytes).await? {
            Reply::Committed(committed) => {
                if is_buffered {
                    self.learn(thread, epoch, committed.version);
                } else {
                    self.buffered.forget(&thread);
                }
                Ok(committed)
            }
            Reply::Done => Err(Reply::unexpected()),
        }
    }

    /// Asks for what has no answer but that it is done.
    pub(super) async fn done(&self, thread: &AgentId, work: Work, bytes: usize) -> Result<()> {
        match self.ask(thread, work, bytes).await? {
            Reply::Done => Ok(()),
            Reply::Committed(_) => Err(Reply::unexpected()),
        }
    }

    /// Waits for buffered commits, so that a read sees them.
    pub(super) async fn settle_buffered(&self) -> Result<()> {
        if self.buffered.is_pending() { self.flush().await } else { Ok(()) }
    }

    /// Waits until all that was queued is written.
    pub(super) async fn flush(&self) -> Result<()> {
        for lane in &self.lanes {
            ask(lane, Work::Barrier, 0).await?;
        }
        Ok(())
    }

    pub(super) fn learn(&self, thread: AgentId, epoch: Epoch, version: Version) {
        self.buffered.learn(thread, epoch, version);
    }

    pub(super) async fn close(&self) -> Result<()> {
        let mut closed = Ok(());
        for lane in &self.lanes {
            let ended = lane.close().await;
            closed = closed.and(ended);
        }
        self.database.postgres.close().await;
        closed
    }

    /// Asks the writer of a thread and waits for its answer.
    async fn ask(&self, thread: &AgentId, work: Work, bytes: usize) -> Result<Reply> {
        ask(self.lane(thread), work, bytes).await
    }

    fn lane(&self, thread: &AgentId) -> &GroupWriter<Op> {
        let mut hasher = DefaultHasher::new();
        thread.hash(&mut hasher);
        &self.lanes[(hasher.finish() % self.lanes.len() as u64) as usize]
    }
}

async fn ask(lane: &GroupWriter<Op>, work: Work, bytes: usize) -> Result<Reply> {
    let (sender, answer) = oneshot::channel();
    lane.submit(Op { work, answer: Answer::Caller(sender) }, bytes).await?;
    answer
        .await
        .map_err(|_| Error::new(ErrorKind::Unavailable, "write").with_context("reason", "writer stopped"))?
}
