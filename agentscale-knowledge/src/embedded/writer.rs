//! The one task that writes: it owns the writing connection and brings the index along.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agentscale_core::knowledge::{Entry, EntryId, EntryVersion};
use agentscale_core::time::Clock;
use agentscale_core::{Error, ErrorKind, Result, Tenant};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{follow, write};
use crate::index::VectorIndex;

/// How many writes may wait; a caller beyond them waits to be let in.
const QUEUE: usize = 64;
/// How many waiting writes the index is brought along for at once.
const TOGETHER: usize = 32;

/// The sending side of the task, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    commands: mpsc::Sender<Command>,
    /// Set while the index lacks what the database has.
    behind: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Command {
    Put { tenant: Tenant, entries: Vec<Entry>, reply: oneshot::Sender<Result<Vec<EntryVersion>>> },
    Delete { tenant: Tenant, ids: Vec<EntryId>, reply: oneshot::Sender<Result<u64>> },
    Follow { reply: oneshot::Sender<Result<()>> },
}

/// Tells a caller what became of its write, given whether the index was brought along.
type Answer = Box<dyn FnOnce(&Result<()>) + Send>;

/// What the task works on.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) connection: SqliteConnection,
    pub(super) index: Arc<VectorIndex>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keep_versions: u64,
    /// Told when a partition wants to be merged.
    pub(super) outgrown: Arc<Notify>,
    /// Held as long as anything writes to the folder.
    pub(super) lock: Arc<File>,
}

impl Writer {
    pub(super) fn start(task: Task) -> (Self, JoinHandle<()>) {
        let (commands, received) = mpsc::channel(QUEUE);
        let behind = Arc::new(AtomicBool::new(false));
        let writer = Self { commands, behind: behind.clone() };
        (writer, tokio::spawn(task.run(received, behind)))
    }

    pub(super) async fn put(&self, tenant: Tenant, entries: Vec<Entry>) -> Result<Vec<EntryVersion>> {
        self.ask("put knowledge", |reply| Command::Put { tenant, entries, reply }).await
    }

    pub(super) async fn delete(&self, tenant: Tenant, ids: Vec<EntryId>) -> Result<u64> {
        self.ask("delete knowledge", |reply| Command::Delete { tenant, ids, reply }).await
    }

    /// Whether the index has all that was acknowledged. Tries to bring it along where it has not.
    pub(super) async fn caught_up(&self) -> Result<()> {
        if !self.behind.load(Ordering::Acquire) {
            return Ok(());
        }
        self.ask("follow knowledge", |reply| Command::Follow { reply }).await
    }

    async fn ask<T>(
        &self,
        operation: &'static str,
        command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command,
    ) -> Result<T> {
        let closed = || Error::new(ErrorKind::Unavailable, operation).with_context("reason", "closed");
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Task {
    async fn run(mut self, mut received: mpsc::Receiver<Command>, behind: Arc<AtomicBool>) {
        let mut commands = Vec::with_capacity(TOGETHER);
        while received.recv_many(&mut commands, TOGETHER).await > 0 {
            let mut answers: Vec<Answer> = Vec::with_capacity(commands.len());
            for command in commands.drain(..) {
                answers.push(self.work(command).await);
            }
            let followed = self.follow().await;
            behind.store(followed.is_err(), Ordering::Release);
            answers.into_iter().for_each(|answer| answer(&followed));
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "closing the knowledge database failed");
        }
        drop(self.lock);
    }

    /// Does the write and answers with what tells its caller, once the index was brought along.
    async fn work(&mut self, command: Command) -> Answer {
        // A caller that went away needs no answer; its write is done as a whole all the same.
        match command {
            Command::Put { tenant, entries, reply } => {
                let now = self.clock.unix_micros();
                let done =
                    write::put(&mut self.connection, tenant.as_str(), entries, now, self.keep_versions).await;
                Box::new(move |_| drop(reply.send(done)))
            }
            Command::Delete { tenant, ids, reply } => {
                let ids: Vec<&str> = ids.iter().map(EntryId::as_str).collect();
                let done = write::delete(&mut self.connection, tenant.as_str(), &ids).await;
                Box::new(move |_| drop(reply.send(done)))
            }
            Command::Follow { reply } => Box::new(move |followed| drop(reply.send(followed.clone()))),
        }
    }

    async fn follow(&mut self) -> Result<()> {
        match follow::follow(&mut self.connection, &self.index).await {
            Ok(outgrown) => {
                if outgrown {
                    self.outgrown.notify_one();
                }
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "the vector index is behind the knowledge database");
                Err(error)
            }
        }
    }
}
