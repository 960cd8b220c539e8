use std::fs::File;
use std::io::{ErrorKind as IoKind, Read};
use std::path::{Path, PathBuf};

use agentscale_core::{Error, ErrorKind, Result};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};

use super::map_error;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;

/// The schema of one kind of file: numbered migrations, applied forward only.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Tells the files of one component from those of all others; stands in the file's header.
    pub application_id: u32,
    /// SQL texts; the first one leads to version 1.
    pub migrations: &'static [&'static str],
}

impl Schema {
    fn version(&self) -> u32 {
        u32::try_from(self.migrations.len()).unwrap_or(u32::MAX)
    }

    fn check(&self, path: &Path, found: Found) -> Result<()> {
        let error =
            || Error::new(ErrorKind::Unsupported, "open sqlite file").with_context("path", path.display());
        if found.application_id != self.application_id && !found.is_new() {
            return Err(error().with_context("reason", "another application's file"));
        }
        if found.version > self.version() {
            return Err(error()
                .with_context("schema_version", found.version)
                .with_context("known_version", self.version()));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
struct Found {
    application_id: u32,
    version: u32,
    tables: u32,
}

impl Found {
    fn is_new(self) -> bool {
        self.application_id == 0 && self.version == 0 && self.tables == 0
    }
}

/// Looks at a file without changing it.
pub(super) async fn probe(path: &Path, schema: &Schema) -> Result<()> {
    let Some(header) = read_header(path)? else { return Ok(()) };
    let corrupt = || Error::new(ErrorKind::Corrupt, "open sqlite file").with_context("path", path.display());
    if header.len() < HEADER_BYTES || !header.starts_with(MAGIC) {
        return Err(corrupt().with_context("reason", "not a database"));
    }
    // The log may hold a newer header; a file that is ahead of us by its own is refused before SQLite
    // sees it.
    let version = word(&header, 60);
    if version > schema.version() {
        schema.check(path, Found { application_id: schema.application_id, version, tables: 0 })?;
    }
    let found = inspect_read_only(path).await?;
    schema.check(path, found)
}

/// Brings a file to the newest version, in one transaction a step.
pub(super) async fn migrate(connection: &mut SqliteConnection, path: &Path, schema: &Schema) -> Result<()> {
    loop {
        let applied = migrate_step(connection, path, schema).await;
        if applied.is_err() {
            // The error of the step is the one to tell; a failed rollback leaves nothing behind either.
            let _ = connection.execute("ROLLBACK").await;
        }
        if !applied? {
            return Ok(());
        }
    }
}

async fn migrate_step(connection: &mut SqliteConnection, path: &Path, schema: &Schema) -> Result<bool> {
    let failed = |error| map_error("migrate sqlite file")(error).with_context("path", path.display());
    if inspect(connection).await.map_err(failed)?.version == schema.version() {
        return Ok(false);
    }
    connection.execute("BEGIN IMMEDIATE").await.map_err(failed)?;
    // Another process may have migrated in between.
    let found = inspect(connection).await.map_err(failed)?;
    schema.check(path, found)?;
    if let Some(sql) = schema.migrations.get(found.version as usize) {
        sqlx::raw_sql(*sql).execute(&mut *connection).await.map_err(failed)?;
        let mark = format!(
            "PRAGMA application_id = {}; PRAGMA user_version = {};",
            schema.application_id.cast_signed(),
            found.version + 1
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(mark)).execute(&mut *connection).await.map_err(failed)?;
    }
    connection.execute("COMMIT").await.map_err(failed)?;
    Ok(true)
}

async fn inspect_read_only(path: &Path) -> Result<Found> {
    // Without its shared memory file a read-only connection cannot read a log; then there is none
    // to read, or its owner is gone and the file is read as it stands.
    let immutable = !sibling(path, "-wal").exists();
    let failed = |error| map_error("open sqlite file")(error).with_context("path", path.display());
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .immutable(immutable)
        .disable_statement_logging()
        .connect()
        .await
        .map_err(failed)?;
    let found = inspect(&mut connection).await.map_err(failed);
    connection.close().await.map_err(failed)?;
    found
}

async fn inspect(connection: &mut SqliteConnection) -> sqlx::Result<Found> {
    let application_id: i32 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await?;
    let version: i32 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await?;
    let tables: u32 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *connection).await?;
    Ok(Found { application_id: application_id.cast_unsigned(), version: version.cast_unsigned(), tables })
}

fn read_header(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |error| {
        Error::new(ErrorKind::Unavailable, "open sqlite file")
            .with_context("path", path.display())
            .with_source(error)
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut header = Vec::with_capacity(HEADER_BYTES);
    file.take(HEADER_BYTES as u64).read_to_end(&mut header).map_err(failed)?;
    Ok((!header.is_empty()).then_some(header))
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn word(header: &[u8], at: usize) -> u32 {
    header[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}
