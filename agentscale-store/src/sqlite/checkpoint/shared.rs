use std::sync::Arc;

use agentscale_core::checkpoint::{Committed, Durability, Epoch, StateLimits, Version};
use agentscale_core::{AgentId, Clock, Error, ErrorKind, Result};
use sqlx::SqlitePool;
use tokio::sync::oneshot;

use super::config::SqliteCheckpointConfig;
use super::op::{Op, Reply, Request, Write};
use super::writer::CheckpointWriter;
use crate::checkpoint::answer::Answer;
use crate::checkpoint::buffered::Buffered;
use crate::checkpoint::due::{self, Due};
use crate::checkpoint::stats::{CheckpointStats, Counters};
use crate::sqlite::{GroupWriter, SqliteFile};

/// What the clones of a store share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) readers: SqlitePool,
    pub(super) limits: StateLimits,
    pub(super) clock: Arc<dyn Clock>,
    writer: GroupWriter<Op>,
    buffered: Buffered,
    counters: Arc<Counters>,
}

impl Shared {
    pub(super) fn start(
        file: SqliteFile,
        config: SqliteCheckpointConfig,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let counters = Arc::<Counters>::default();
        let (due, threads) = config.retention.as_ref().map(Due::new).unzip();
        let writer = CheckpointWriter::new(
            file.writer,
            config.remembered_threads,
            config.limits,
            clock.clone(),
            counters.clone(),
            due,
        );
        let shared = Arc::new(Self {
            readers: file.readers,
            limits: config.limits,
            clock,
            writer: GroupWriter::spawn(writer, &config.queue),
            buffered: Buffered::default(),
            counters,
        });
        if let Some((policy, threads)) = config.retention.zip(threads) {
            // It ends when the writer does, which holds the other end of the channel.
            tokio::spawn(due::run(Arc::downgrade(&shared), threads, policy));
        }
        shared
    }

    pub(super) async fn commit(&self, write: Box<Write>, bytes: usize) -> Result<Committed> {
        let commit = &write.commit;
        if let Some(error) = self.buffered.take_failure(&commit.thread) {
            return Err(error);
        }
        let (epoch, expected) = (commit.epoch, commit.expected);
        let is_buffered = commit.level <= Durability::Buffered;
        let thread = commit.thread.clone();
        if is_buffered && let Some(receipt) = self.buffered.enter(&thread, epoch, expected) {
            let op = Op { request: Request::Commit(write), answer: Answer::Buffered(receipt) };
            self.writer.submit(op, bytes).await?;
            return Ok(Committed::new(Version(expected.0 + 1), Durability::Buffered));
        }
        match self.ask(Request::Commit(write), bytes).await? {
            Reply::Committed(committed) => {
                if is_buffered {
                    self.learn(thread, epoch, committed.version);
                } else {
                    self.buffered.forget(&thread);
                }
                Ok(committed)
            }
            _ => Err(Reply::unexpected()),
        }
    }

    /// Asks the writer and waits for its answer.
    pub(super) async fn ask(&self, request: Request, bytes: usize) -> Result<Reply> {
        let (sender, answer) = oneshot::channel();
        self.writer.submit(Op { request, answer: Answer::Caller(sender) }, bytes).await?;
        answer.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "write").with_context("reason", "writer stopped")
        })?
    }

    /// Asks for what has no answer but that it is done.
    pub(super) async fn done(&self, request: Request, bytes: usize) -> Result<()> {
        match self.ask(request, bytes).await? {
            Reply::Done => Ok(()),
            _ => Err(Reply::unexpected()),
        }
    }

    /// Waits for buffered commits, so that a read sees them.
    pub(super) async fn settle_buffered(&self) -> Result<()> {
        if self.buffered.is_pending() { self.done(Request::Barrier, 0).await } else { Ok(()) }
    }

    pub(super) fn learn(&self, thread: AgentId, epoch: Epoch, version: Version) {
        self.buffered.learn(thread, epoch, version);
    }

    pub(super) fn forget(&self, thread: &AgentId) {
        self.buffered.forget(thread);
    }

    pub(super) fn stats(&self) -> CheckpointStats {
        self.counters.stats()
    }

    pub(super) async fn close(&self) -> Result<()> {
        let closed = self.writer.close().await;
        self.readers.close().await;
        closed
    }
}
