//! Slots in a file of SQLite.

mod rows;
mod writer;

use std::path::Path;
use std::sync::Arc;

use agentscale_core::lease::check_ttl;
use agentscale_core::slots::{JoinRequest, LeaveRequest, SlotExchange, SlotKey, SlotMember, SlotsExchanged};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, Error, ErrorKind, Result, SlotStore};
use async_trait::async_trait;
use tokio::sync::oneshot;

use super::{GroupWriter, QueueConfig, Schema, SqliteConfig};
use writer::{Op, SlotWriter};

const SCHEMA: Schema = Schema {
    // "ASSL"
    application_id: 0x4153_534c,
    migrations: &[include_str!("../../migrations/0001_slots.sql")],
};

/// Counts slots in one file of SQLite, for the processes of one machine. Clones share the store.
///
/// One task writes for all callers, a transaction for what came together. Nothing is synced to the disk: where the power fails,
/// all members do. Time is that of the machine, or of the clock that the store is given: all processes on a file need the same.
#[derive(Clone, Debug)]
pub struct SqliteSlotStore {
    writer: Arc<GroupWriter<Op>>,
}

impl SqliteSlotStore {
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
        file.readers.close().await;
        let writer = GroupWriter::spawn(SlotWriter::new(file.writer, clock), &QueueConfig::default());
        Ok(Self { writer: Arc::new(writer) })
    }

    /// Answers what was asked and closes the file; what comes later is `unavailable`.
    ///
    /// # Errors
    /// `unavailable` where the file cannot be closed cleanly.
    pub async fn close(&self) -> Result<()> {
        self.writer.close().await
    }

    async fn ask<T>(&self, bytes: usize, op: impl FnOnce(oneshot::Sender<Result<T>>) -> Op) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        self.writer.submit(op(sender), bytes).await?;
        answer.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "write").with_context("reason", "writer stopped")
        })?
    }
}

#[async_trait]
impl SlotStore for SqliteSlotStore {
    async fn join(&self, request: JoinRequest) -> Result<SlotMember> {
        check_ttl(request.ttl)?;
        self.ask(0, |answer| Op::Join(request, answer)).await
    }

    async fn exchange(&self, exchange: SlotExchange) -> Result<SlotsExchanged> {
        exchange.check()?;
        // Names are short.
        let bytes = 256 * exchange.lines.len();
        self.ask(bytes, |answer| Op::Exchange(exchange, answer)).await
    }

    async fn leave(&self, request: LeaveRequest) -> Result<()> {
        self.ask(0, |answer| Op::Leave(request, answer)).await
    }

    async fn held(&self, keys: &[SlotKey]) -> Result<Vec<u32>> {
        let keys = keys.to_vec();
        self.ask(256 * keys.len(), |answer| Op::Held(keys, answer)).await
    }
}
