//! Leases in a file of SQLite.

mod row;
mod writer;

use std::path::Path;
use std::sync::Arc;

use agentscale_core::lease::{AcquireRequest, Grant, LeaseInfo, LeaseKey, ReleaseRequest, RenewRequest};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, Error, ErrorKind, LeaseStore, Result};
use async_trait::async_trait;
use sqlx::SqlitePool;
use tokio::sync::oneshot;

use super::{GroupWriter, QueueConfig, Schema, SqliteConfig, map_error};
use writer::{LeaseWriter, Op};

const SCHEMA: Schema = Schema {
    // "ASLE"
    application_id: 0x4153_4c45,
    migrations: &[include_str!("../../migrations/0001_leases.sql")],
};

/// Keeps leases in one file of SQLite, for the processes of one machine. Clones share the store.
///
/// One task writes for all callers, a transaction for what came together. A grant is synced to the disk before it is
/// answered, so that no epoch is granted twice though the power fail; a renewal is not, as its loss only ends a lease early.
/// Time is that of the machine, or of the clock that the store is given: all processes on a file need the same.
#[derive(Clone, Debug)]
pub struct SqliteLeaseStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    writer: GroupWriter<Op>,
    readers: SqlitePool,
    clock: Arc<dyn Clock>,
}

impl SqliteLeaseStore {
    /// Opens a file with the default configuration; makes it where it does not exist.
    ///
    /// # Errors
    /// Those of [`SqliteConfig::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &SqliteConfig::default(), Arc::new(SystemClock::new())).await
    }

    /// Opens a file. The clock is the one by whose wall time leases end.
    ///
    /// # Errors
    /// Those of [`SqliteConfig::open`].
    pub async fn open_with(
        path: impl AsRef<Path>,
        config: &SqliteConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let file = config.open(path.as_ref(), &SCHEMA).await?;
        let writer = LeaseWriter::new(file.writer, clock.clone());
        let writer = GroupWriter::spawn(writer, &QueueConfig::default());
        Ok(Self { shared: Arc::new(Shared { writer, readers: file.readers, clock }) })
    }

    /// Answers what was asked and closes the file; what comes later is `unavailable`.
    ///
    /// # Errors
    /// `unavailable` where the file cannot be closed cleanly; what was granted is in its log then.
    pub async fn close(&self) -> Result<()> {
        let closed = self.shared.writer.close().await;
        self.shared.readers.close().await;
        closed
    }

    async fn ask<T>(&self, op: impl FnOnce(oneshot::Sender<Result<T>>) -> Op) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        self.shared.writer.submit(op(sender), 0).await?;
        answer.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "write").with_context("reason", "writer stopped")
        })?
    }
}

#[async_trait]
impl LeaseStore for SqliteLeaseStore {
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant> {
        self.ask(|answer| Op::Acquire(request, answer)).await
    }

    async fn renew(&self, request: RenewRequest) -> Result<Grant> {
        self.ask(|answer| Op::Renew(request, answer)).await
    }

    async fn release(&self, request: ReleaseRequest) -> Result<()> {
        self.ask(|answer| Op::Release(request, answer)).await
    }

    async fn read(&self, key: &LeaseKey) -> Result<LeaseInfo> {
        let operation = "read lease";
        let mut reader = self.shared.readers.acquire().await.map_err(map_error(operation))?;
        let record = row::read(&mut reader, key, operation).await?;
        Ok(record.info(self.shared.clock.unix_micros()))
    }
}
