use std::path::{Path, PathBuf};
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use super::map_error;
use super::migrate::{Schema, migrate, probe};

/// How a file of SQLite is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SqliteConfig {
    /// Connections that read. Default 4.
    pub readers: u32,
    /// How long a statement waits for a lock that another connection holds. Default 5 s.
    pub busy_timeout: Duration,
    /// How long a read waits for a free connection. Default 5 s.
    pub acquire_timeout: Duration,
    /// Page cache of each connection in KiB. Default 16,384.
    pub cache_kib: u32,
    /// Pages in the write-ahead log after which they are copied into the file. Default 4,000.
    pub checkpoint_pages: u32,
    /// The size of a page of a new file in bytes, a power of two. Default 4,096.
    pub page_bytes: u32,
    /// The largest size of the file in pages; what would go beyond is refused as a full disk is.
    /// Default: what SQLite allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pages: Option<u32>,
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self {
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(5),
            cache_kib: 16 * 1024,
            checkpoint_pages: 4_000,
            page_bytes: 4_096,
            max_pages: None,
        }
    }
}

impl SqliteConfig {
    /// Opens a file in WAL mode, made and migrated where needed.
    ///
    /// # Errors
    /// `not_found` for a folder that does not exist; `corrupt` for a file that is no database;
    /// `unsupported` for one of a newer schema or another application. None of these changes the file.
    pub async fn open(&self, path: &Path, schema: &Schema) -> Result<SqliteFile> {
        if let Some(folder) =
            path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        {
            return Err(
                Error::new(ErrorKind::NotFound, "open sqlite file").with_context("folder", folder.display())
            );
        }
        probe(path, schema).await?;
        let mut writer = self.connect(path).await?;
        migrate(&mut writer, path, schema).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(self.readers.max(1))
            .acquire_timeout(self.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(self.native(path).pragma("query_only", "ON"));
        Ok(SqliteFile { path: path.to_owned(), writer, readers })
    }

    async fn connect(&self, path: &Path) -> Result<SqliteConnection> {
        self.native(path)
            .create_if_missing(true)
            .page_size(self.page_bytes)
            .journal_mode(SqliteJournalMode::Wal)
            .connect()
            .await
            .map_err(|error| map_error("open sqlite file")(error).with_context("path", path.display()))
    }

    fn native(&self, path: &Path) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(self.busy_timeout)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(false)
            .pragma("cache_size", format!("-{}", self.cache_kib))
            .pragma("wal_autocheckpoint", self.checkpoint_pages.to_string())
            .disable_statement_logging();
        match self.max_pages {
            Some(pages) => options.pragma("max_page_count", pages.to_string()),
            None => options,
        }
    }
}

/// An open file: the one connection that writes, and those that read.
#[derive(Debug)]
pub struct SqliteFile {
    /// Where it is.
    pub path: PathBuf,
    /// Writes. `synchronous` is NORMAL, which in WAL mode survives the death of the process.
    pub writer: SqliteConnection,
    /// Read; a write on them is an error.
    pub readers: SqlitePool,
}

impl SqliteFile {
    /// Closes all connections; the last one on a file folds the write-ahead log into it.
    ///
    /// # Errors
    /// `unavailable` where the log could not be folded; nothing is lost then.
    pub async fn close(self) -> Result<()> {
        self.readers.close().await;
        self.writer.close().await.map_err(map_error("close sqlite file"))
    }
}
