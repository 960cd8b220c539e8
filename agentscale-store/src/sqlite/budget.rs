//! Budgets in a file of SQLite.

mod holders;
mod lines;
mod usage;
mod writer;

use std::path::Path;
use std::sync::Arc;

use agentscale_core::budget::{
    Balance, BudgetId, Exchange, Exchanged, Holder, JoinRequest, LeaveRequest, LedgerCapabilities,
    UsageQuery, UsageRecord,
};
use agentscale_core::checkpoint::Durability;
use agentscale_core::{BudgetLedger, Error, ErrorKind, Result};
use async_trait::async_trait;
use sqlx::SqlitePool;
use tokio::sync::oneshot;

use super::{GroupWriter, QueueConfig, Schema, SqliteConfig, map_error};
use writer::{BudgetWriter, Op};

const SCHEMA: Schema = Schema {
    // "ASBU"
    application_id: 0x4153_4255,
    migrations: &[include_str!("../../migrations/0001_budgets.sql")],
};

/// Keeps budgets and usage in one file of SQLite, for the processes of one machine. Clones share the ledger.
///
/// One task writes for all callers, a transaction for what came together, synced to the disk before it is answered: a grant
/// that is forgotten could be given twice. Budgets are forgotten 35 days behind the end of their period; usage is kept.
#[derive(Clone, Debug)]
pub struct SqliteBudgetLedger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    writer: GroupWriter<Op>,
    readers: SqlitePool,
}

impl SqliteBudgetLedger {
    /// Opens a file with the default configuration; makes it where it does not exist.
    ///
    /// # Errors
    /// Those of [`SqliteConfig::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &SqliteConfig::default()).await
    }

    /// Opens a file.
    ///
    /// # Errors
    /// Those of [`SqliteConfig::open`].
    pub async fn open_with(path: impl AsRef<Path>, config: &SqliteConfig) -> Result<Self> {
        let mut file = config.open(path.as_ref(), &SCHEMA).await?;
        let synced = sqlx::raw_sql("PRAGMA synchronous = FULL").execute(&mut file.writer).await;
        synced.map_err(map_error("open budget ledger"))?;
        let writer = GroupWriter::spawn(BudgetWriter::new(file.writer), &QueueConfig::default());
        Ok(Self { shared: Arc::new(Shared { writer, readers: file.readers }) })
    }

    /// Answers what was asked and closes the file; what comes later is `unavailable`.
    ///
    /// # Errors
    /// `unavailable` where the file cannot be closed cleanly; what was answered is in its log then.
    pub async fn close(&self) -> Result<()> {
        let closed = self.shared.writer.close().await;
        self.shared.readers.close().await;
        closed
    }

    async fn ask<T>(&self, bytes: usize, op: impl FnOnce(oneshot::Sender<Result<T>>) -> Op) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        self.shared.writer.submit(op(sender), bytes).await?;
        answer.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "write").with_context("reason", "writer stopped")
        })?
    }
}

#[async_trait]
impl BudgetLedger for SqliteBudgetLedger {
    fn capabilities(&self) -> LedgerCapabilities {
        LedgerCapabilities::new(Durability::Disk, true)
    }

    async fn join(&self, request: JoinRequest) -> Result<Holder> {
        self.ask(0, |answer| Op::Join(request, answer)).await
    }

    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged> {
        exchange.check()?;
        // Names are short: a line or a record takes a few hundred bytes.
        let bytes = 256 * (exchange.lines.len() + exchange.usage.len());
        self.ask(bytes, |answer| Op::Exchange(exchange, answer)).await
    }

    async fn leave(&self, request: LeaveRequest) -> Result<()> {
        self.ask(0, |answer| Op::Leave(request, answer)).await
    }

    async fn balances(&self, budgets: &[BudgetId], now: u64) -> Result<Vec<Balance>> {
        let budgets = budgets.to_vec();
        self.ask(0, |answer| Op::Balances(budgets, now, answer)).await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        usage::read(&self.shared.readers, &query).await
    }
}
