//! The file of the log.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::checkpoint::{Commit, Epoch, Version};
use agentscale_core::{AgentId, Error, ErrorKind, Result};
use sqlx::{AssertSqlSafe, Row, SqlitePool};
use tokio::sync::oneshot;

use super::config::LoggedCheckpointConfig;
use super::entry::{self, COLUMNS};
use super::stats::OrphanedTail;
use super::tails::Tails;
use super::writer::{Append, LogWriter, Op, Returned};
use crate::checkpoint::stored;
use crate::sqlite::{GroupWriter, Schema, map_error};

const SCHEMA: Schema = Schema {
    // "ASCL"
    application_id: 0x4153_434c,
    migrations: &[include_str!("../../migrations/0001_log.sql")],
};

#[derive(Debug)]
pub(super) struct Log {
    writer: GroupWriter<Op>,
    readers: SqlitePool,
    flushed: Arc<Flushed>,
    /// Kept locked: the commits of a log have one process that flushes them.
    lock: Mutex<Option<File>>,
}

/// Entries that the shared store has, and that the file still holds.
#[derive(Debug, Default)]
pub(super) struct Flushed(Mutex<Vec<u64>>);

impl Flushed {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Opens the file, and gives what an earlier process left there, oldest first.
    pub(super) async fn open(
        path: &Path,
        config: &LoggedCheckpointConfig,
        tails: Arc<Tails>,
    ) -> Result<(Self, Vec<(u64, Commit)>)> {
        let mut file = config.file.open(path, &SCHEMA).await?;
        let lock = lock(path)?;
        let failed = || map_error("read log");
        let last: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM entries")
            .fetch_one(&mut file.writer)
            .await
            .map_err(failed())?;
        let left = format!("SELECT {COLUMNS} FROM entries WHERE orphaned = 0 ORDER BY seq");
        let left = sqlx::query(AssertSqlSafe(left)).fetch_all(&mut file.writer).await.map_err(failed())?;
        let left = left.iter().map(entry::read).collect::<Result<Vec<_>>>()?;
        let flushed = Arc::<Flushed>::default();
        let writer =
            LogWriter::new(file.writer, last.cast_unsigned(), config.orphans, flushed.clone(), tails);
        let writer = GroupWriter::spawn(writer, &config.queue);
        Ok((Self { writer, readers: file.readers, flushed, lock: Mutex::new(Some(lock)) }, left))
    }

    /// Appends a commit, synced to the device; it is in the tail of its thread then. What could not be written comes back.
    ///
    /// # Errors
    /// `unavailable` for a log that is closed.
    ///
    /// # Cancel safety
    /// A commit whose future is dropped is in the log and in the tail, or in neither.
    pub(super) async fn append(
        &self,
        append: impl FnOnce(oneshot::Sender<std::result::Result<(), Box<Returned>>>) -> Append,
    ) -> Result<std::result::Result<(), Box<Returned>>> {
        let (sender, answer) = oneshot::channel();
        let append = append(sender);
        let bytes = append.room.bytes;
        self.writer.submit(Op::Append(Box::new(append)), bytes).await?;
        answer.await.map_err(|_| stopped())
    }

    /// The shared store has this entry: it is removed with one of the next transactions.
    pub(super) fn remove(&self, seq: u64) {
        self.flushed.lock().push(seq);
    }

    pub(super) fn has_flushed(&self) -> bool {
        !self.flushed.lock().is_empty()
    }

    /// Removes now what the shared store has.
    pub(super) async fn trim(&self) -> Result<()> {
        self.done(Op::Trim).await
    }

    /// Keeps entries apart: they are not flushed any more.
    pub(super) async fn orphan(&self, seqs: Vec<u64>) -> Result<()> {
        self.done(|answer| Op::Orphan(seqs, answer)).await
    }

    pub(super) async fn forget(&self, thread: AgentId, epoch: Epoch) -> Result<()> {
        self.done(|answer| Op::Forget(thread, epoch, answer)).await
    }

    pub(super) async fn orphans(&self) -> Result<Vec<OrphanedTail>> {
        let failed = || map_error("list orphans");
        let rows = sqlx::query(
            "SELECT tenant, type, key, incarnation, counter, min(expected), max(expected), count(*) FROM entries \
             WHERE orphaned = 1 GROUP BY tenant, type, key, incarnation, counter ORDER BY min(seq)",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed())?;
        rows.iter()
            .map(|row| {
                let text = |at: usize| row.try_get::<&str, _>(at).map_err(failed());
                let number = |at: usize| row.try_get::<i64, _>(at).map(i64::cast_unsigned).map_err(failed());
                Ok(OrphanedTail {
                    thread: stored::agent_id(text(0)?, text(1)?, text(2)?)?,
                    epoch: Epoch { incarnation: row.try_get(3).map_err(failed())?, counter: number(4)? },
                    first: Version(number(5)? + 1),
                    last: Version(number(6)? + 1),
                    commits: usize::try_from(number(7)?).unwrap_or(usize::MAX),
                })
            })
            .collect()
    }

    pub(super) async fn orphaned_commits(&self, thread: &AgentId, epoch: Epoch) -> Result<Vec<Commit>> {
        let found = format!(
            "SELECT {COLUMNS} FROM entries WHERE orphaned = 1 AND tenant = ?1 AND type = ?2 AND key = ?3 \
             AND incarnation = ?4 AND counter = ?5 ORDER BY seq"
        );
        let rows = sqlx::query(AssertSqlSafe(found))
            .bind(thread.tenant.as_str())
            .bind(thread.agent_type.as_str())
            .bind(thread.key.as_str())
            .bind(epoch.incarnation)
            .bind(epoch.counter.cast_signed())
            .fetch_all(&self.readers)
            .await
            .map_err(map_error("read orphans"))?;
        rows.iter().map(|row| Ok(entry::read(row)?.1)).collect()
    }

    pub(super) async fn close(&self) -> Result<()> {
        // What is not removed is found in the shared store at the next start.
        let trimmed = if self.has_flushed() { self.trim().await } else { Ok(()) };
        let closed = self.writer.close().await;
        self.readers.close().await;
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        trimmed.and(closed)
    }

    async fn done(&self, op: impl FnOnce(oneshot::Sender<Result<()>>) -> Op) -> Result<()> {
        let (sender, answer) = oneshot::channel();
        self.writer.submit(op(sender), 0).await?;
        answer.await.map_err(|_| stopped())?
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Unavailable, "write log").with_context("reason", "writer stopped")
}

fn lock(path: &Path) -> Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |kind| Error::new(kind, "open log").with_context("path", path.display());
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(name)
        .map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(failed(ErrorKind::AlreadyExists).with_context("reason", "another store works with it"))
        }
        Err(TryLockError::Error(error)) => Err(failed(ErrorKind::Unavailable).with_source(error)),
    }
}
