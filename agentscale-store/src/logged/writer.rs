use std::sync::Arc;

use agentscale_core::checkpoint::{Commit, Epoch};
use agentscale_core::{AgentId, Error, Result};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::entry::{self, INSERT};
use super::log::Flushed;
use super::tails::Tails;
use super::thread::{Entry, Owned, Room, Thread};
use crate::checkpoint::stored::json;
use crate::sqlite::{Batch, Rows, map_error};

/// Removals that wait for the next append, at most: their pages are written with it.
const REMOVED_TOGETHER: usize = 256;

/// One operation, with where its answer goes.
#[derive(Debug)]
pub(super) enum Op {
    Append(Box<Append>),
    /// Removes what is flushed.
    Trim(oneshot::Sender<Result<()>>),
    Orphan(Vec<u64>, oneshot::Sender<Result<()>>),
    Forget(AgentId, Epoch, oneshot::Sender<Result<()>>),
}

/// A commit with all that its acknowledgement changes, so that it does not depend on its caller any more.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) commit: Commit,
    pub(super) room: Room,
    pub(super) thread: Arc<Thread>,
    pub(super) owned: Owned,
    pub(super) answer: oneshot::Sender<std::result::Result<(), Box<Returned>>>,
}

/// A commit that is not in the log.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) commit: Commit,
    pub(super) owned: Owned,
    pub(super) error: Error,
}

/// Writes batches of operations, one transaction each.
#[derive(Debug)]
pub(super) struct LogWriter {
    connection: SqliteConnection,
    last: u64,
    orphans: usize,
    flushed: Arc<Flushed>,
    tails: Arc<Tails>,
    syncs: bool,
}

impl LogWriter {
    pub(super) fn new(
        connection: SqliteConnection,
        last: u64,
        orphans: usize,
        flushed: Arc<Flushed>,
        tails: Arc<Tails>,
    ) -> Self {
        Self { connection, last, orphans, flushed, tails, syncs: false }
    }

    /// The number of the first entry appended.
    async fn transact(&mut self, ops: &[Op], removed: &[u64]) -> Result<u64> {
        let mut rows = Rows::new(&INSERT);
        let first = self.last + 1;
        let mut next = first;
        for op in ops {
            if let Op::Append(append) = op {
                entry::push(&mut rows, next, &append.commit)?;
                next += 1;
            }
        }
        // Numbers are not given twice, whatever became of a transaction.
        self.last = next - 1;
        // What is removed too late is found in the shared store: removals alone need no sync.
        self.sync(ops.iter().any(|op| !matches!(op, Op::Trim(_)))).await?;
        if rows.is_one_statement() && removed.is_empty() && ops.iter().all(|op| matches!(op, Op::Append(_))) {
            // A transaction of its own: one way to SQLite's thread and back.
            rows.insert(&mut self.connection, "append to log").await?;
            return Ok(first);
        }
        self.connection.execute("BEGIN IMMEDIATE").await.map_err(map_error("begin log"))?;
        rows.insert(&mut self.connection, "append to log").await?;
        if !removed.is_empty() {
            self.each(removed, "DELETE FROM entries WHERE seq IN (SELECT value FROM json_each(?1))").await?;
        }
        for op in ops {
            match op {
                Op::Orphan(seqs, _) => {
                    let mark =
                        "UPDATE entries SET orphaned = 1 WHERE seq IN (SELECT value FROM json_each(?1))";
                    self.each(seqs, mark).await?;
                    self.forget_oldest().await?;
                }
                Op::Forget(thread, epoch, _) => self.forget(thread, *epoch).await?,
                Op::Append(_) | Op::Trim(_) => {}
            }
        }
        self.connection.execute("COMMIT").await.map_err(map_error("append to log"))?;
        Ok(first)
    }

    async fn sync(&mut self, syncs: bool) -> Result<()> {
        if self.syncs != syncs {
            // SQLite applies this pragma when it is compiled, and refuses it within a transaction.
            let pragma = if syncs { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            sqlx::raw_sql(pragma).execute(&mut self.connection).await.map_err(map_error("begin log"))?;
            self.syncs = syncs;
        }
        Ok(())
    }

    async fn each(&mut self, seqs: &[u64], statement: &'static str) -> Result<()> {
        let query = sqlx::query(statement).bind(json(&seqs));
        query.execute(&mut self.connection).await.map_err(map_error("change log"))?;
        Ok(())
    }

    /// Keeps the newest orphans.
    async fn forget_oldest(&mut self) -> Result<()> {
        let forgotten = sqlx::query(
            "DELETE FROM entries WHERE orphaned = 1 AND seq <= \
             (SELECT seq FROM entries WHERE orphaned = 1 ORDER BY seq DESC LIMIT 1 OFFSET ?1)",
        )
        .bind(i64::try_from(self.orphans).unwrap_or(i64::MAX))
        .execute(&mut self.connection)
        .await
        .map_err(map_error("forget orphans"))?
        .rows_affected();
        if forgotten > 0 {
            tracing::error!(commits = forgotten, "orphaned commits forgotten, as there are too many");
        }
        Ok(())
    }

    async fn forget(&mut self, thread: &AgentId, epoch: Epoch) -> Result<()> {
        sqlx::query(
            "DELETE FROM entries WHERE orphaned = 1 AND tenant = ?1 AND type = ?2 AND key = ?3 \
             AND incarnation = ?4 AND counter = ?5",
        )
        .bind(thread.tenant.as_str())
        .bind(thread.agent_type.as_str())
        .bind(thread.key.as_str())
        .bind(epoch.incarnation)
        .bind(epoch.counter.cast_signed())
        .execute(&mut self.connection)
        .await
        .map_err(map_error("forget orphans"))?;
        Ok(())
    }

    /// What this transaction removes.
    fn take_flushed(&self, ops: &[Op]) -> Vec<u64> {
        let mut flushed = self.flushed.lock();
        let is_asked = ops.iter().any(|op| matches!(op, Op::Trim(_)));
        if is_asked || flushed.len() >= REMOVED_TOGETHER { std::mem::take(&mut *flushed) } else { Vec::new() }
    }
}

impl Batch for LogWriter {
    type Op = Op;

    async fn apply(&mut self, ops: Vec<Op>) {
        let removed = self.take_flushed(&ops);
        match self.transact(&ops, &removed).await {
            Ok(mut seq) => {
                let at = Instant::now();
                for op in ops {
                    if let Op::Append(append) = op {
                        append.acknowledge(seq, at, &self.tails);
                        seq += 1;
                    } else {
                        op.answer(Ok(()));
                    }
                }
            }
            Err(error) => {
                // Where there is no transaction any more, this is an error of no interest.
                let _ = self.connection.execute("ROLLBACK").await;
                self.flushed.lock().extend(removed);
                ops.into_iter().for_each(|op| op.answer(Err(error.clone())));
            }
        }
    }

    async fn close(self) -> Result<()> {
        self.connection.close().await.map_err(map_error("close log"))
    }
}

impl Append {
    fn acknowledge(mut self, seq: u64, at: Instant, tails: &Tails) {
        if let Some(head) = &mut *self.owned {
            head.advance(&self.commit);
        }
        tails.push(self.thread, Entry { seq, commit: self.commit, at, room: self.room });
        drop(self.owned);
        // Whoever does not listen any more finds its commit in the tail.
        let _ = self.answer.send(Ok(()));
    }
}

impl Op {
    /// Whoever does not listen any more misses its answer.
    fn answer(self, result: Result<()>) {
        match (self, result) {
            (Self::Append(append), Err(error)) => {
                let Append { commit, owned, answer, .. } = *append;
                let _ = answer.send(Err(Box::new(Returned { commit, owned, error })));
            }
            (Self::Append(_), Ok(())) => {}
            (Self::Trim(answer) | Self::Orphan(_, answer) | Self::Forget(_, _, answer), result) => {
                let _ = answer.send(result);
            }
        }
    }
}
