//! Observations in a file of SQLite.

mod query;
mod retire;
mod writer;

use std::path::Path;
use std::sync::Arc;

use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use sqlx::SqlitePool;
use tokio::sync::oneshot;

use super::{GroupWriter, QueueConfig, Schema, SqliteConfig};
use crate::archive::Retirement;
use crate::observations::{
    KEEP_MONTHS, ObservationMaintenance, ObservationPage, ObservationQuery, ObservationRecord,
    ObservationStore,
};
use writer::{ObservationWriter, Op};

const SCHEMA: Schema = Schema {
    // "ASOB"
    application_id: 0x4153_4f42,
    migrations: &[include_str!("../../migrations/0001_observations.sql")],
};

/// Keeps observations in one file of SQLite, for the processes of one machine. Clones share the store.
///
/// A batch survives the death of its process when it is written; it is not synced.
#[derive(Clone, Debug)]
pub struct SqliteObservationStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    writer: GroupWriter<Op>,
    readers: SqlitePool,
    config: SqliteObservationConfig,
}

/// How observations are kept in a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteObservationConfig {
    /// The file.
    pub file: SqliteConfig,
    /// How many months stay besides the present one. Default 6.
    pub keep_months: u32,
    /// What becomes of older ones. They stay by default.
    pub retirement: Retirement,
}

impl Default for SqliteObservationConfig {
    fn default() -> Self {
        Self { file: SqliteConfig::default(), keep_months: KEEP_MONTHS, retirement: Retirement::Keep }
    }
}

impl SqliteObservationStore {
    /// Opens a file with the default configuration; makes it where it does not exist.
    ///
    /// # Errors
    /// Those of [`SqliteConfig::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, SqliteObservationConfig::default()).await
    }

    /// Opens a file.
    ///
    /// # Errors
    /// Those of [`SqliteConfig::open`].
    pub async fn open_with(path: impl AsRef<Path>, config: SqliteObservationConfig) -> Result<Self> {
        let file = config.file.open(path.as_ref(), &SCHEMA).await?;
        let writer = GroupWriter::spawn(ObservationWriter::new(file.writer), &QueueConfig::default());
        Ok(Self { shared: Arc::new(Shared { writer, readers: file.readers, config }) })
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
impl ObservationStore for SqliteObservationStore {
    async fn append(&self, batch: &[ObservationRecord]) -> Result<()> {
        let rows = writer::rows(batch)?;
        self.ask(|answer| Op::Append(rows, answer)).await
    }

    async fn query(&self, query: &ObservationQuery) -> Result<ObservationPage> {
        query::read(&self.shared.readers, query).await
    }

    async fn maintain(&self, unix_micros: u64) -> Result<ObservationMaintenance> {
        let retired = retire::retire(self, unix_micros).await?;
        Ok(ObservationMaintenance { retired, ..ObservationMaintenance::default() })
    }

    async fn close(&self) -> Result<()> {
        let closed = self.shared.writer.close().await;
        self.shared.readers.close().await;
        closed
    }
}
