//! The database file: how it is opened, recognised and migrated.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use agentscale_store::sqlite::map_error;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use super::config::EmbeddedBuilder;
use super::transaction;

const OPEN: &str = "open knowledge";
/// Marks the file as this crate's in SQLite's header.
const APPLICATION: i32 = 0x6167_6b6e;
/// One SQL text a version, in their order. They only ever grow in number.
const MIGRATIONS: [&str; 1] = [include_str!("schema.sql")];

/// The open database: one connection that writes, several that read.
pub(super) struct Database {
    pub(super) writer: SqliteConnection,
    pub(super) readers: SqlitePool,
    /// Which database this is, for what is derived from it.
    pub(super) identity: Vec<u8>,
}

/// Opens `path`, or creates it.
pub(super) async fn open(path: &Path, builder: &EmbeddedBuilder) -> Result<Database> {
    check_header(path)?;
    let synchronous =
        if builder.config.sync_puts { SqliteSynchronous::Full } else { SqliteSynchronous::Normal };
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging();
    let mut writer = SqliteConnection::connect_with(&options).await.map_err(map_error(OPEN))?;
    migrate(&mut writer).await?;
    let identity = identify(&mut writer, builder).await?;
    let readers = SqlitePoolOptions::new()
        .max_connections(builder.config.read_connections.max(1))
        .connect_with(options.read_only(true))
        .await
        .map_err(map_error(OPEN))?;
    Ok(Database { writer, readers, identity })
}

/// Refuses what is not this crate's before SQLite touches the file.
fn check_header(path: &Path) -> Result<()> {
    let mut header = [0u8; 100];
    let read = std::fs::File::open(path).and_then(|mut file| match file.metadata()?.len() {
        0 => Ok(None),
        _ => file.read_exact(&mut header).map(Some),
    });
    let refuse = |kind| Error::new(kind, OPEN).with_context("path", path.display());
    match read {
        Ok(None) => return Ok(()),
        Ok(Some(())) => {}
        Err(error) => match error.kind() {
            std::io::ErrorKind::NotFound => return Ok(()),
            std::io::ErrorKind::UnexpectedEof => {
                return Err(refuse(ErrorKind::Corrupt).with_context("reason", "cut short"));
            }
            std::io::ErrorKind::PermissionDenied => return Err(refuse(ErrorKind::PermissionDenied)),
            _ => return Err(refuse(ErrorKind::Unavailable).with_source(error)),
        },
    }
    let number = |at: usize| i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(refuse(ErrorKind::Corrupt).with_context("reason", "not a database"));
    }
    match (number(68), number(60)) {
        (APPLICATION, version) => check_version(version),
        // A crash between creation and the first checkpoint leaves all of it in the log.
        (0, 0) => Ok(()),
        _ => Err(refuse(ErrorKind::Unsupported).with_context("reason", "a database of another application")),
    }
}

fn check_version(found: i32) -> Result<()> {
    if usize::try_from(found).is_ok_and(|found| found <= MIGRATIONS.len()) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, OPEN)
        .with_context("schema version", found)
        .with_context("newest known", MIGRATIONS.len()))
}

async fn migrate(writer: &mut SqliteConnection) -> Result<()> {
    transaction::begin(writer, OPEN).await?;
    let done = apply_migrations(writer).await;
    transaction::end(writer, OPEN, done).await
}

async fn apply_migrations(writer: &mut SqliteConnection) -> Result<()> {
    let found: i32 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *writer).await.map_err(map_error(OPEN))?;
    check_version(found)?;
    for (version, migration) in MIGRATIONS.into_iter().enumerate().skip(found as usize) {
        sqlx::raw_sql(migration).execute(&mut *writer).await.map_err(map_error(OPEN))?;
        let mark = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {}", version + 1);
        sqlx::raw_sql(sqlx::AssertSqlSafe(mark)).execute(&mut *writer).await.map_err(map_error(OPEN))?;
    }
    Ok(())
}

/// Records what vectors the store holds, or checks that they are the caller's.
async fn identify(writer: &mut SqliteConnection, builder: &EmbeddedBuilder) -> Result<Vec<u8>> {
    sqlx::query("INSERT OR IGNORE INTO store VALUES (1, randomblob(16), ?, ?, 0)")
        .bind(builder.model())
        .bind(builder.dimensions)
        .execute(&mut *writer)
        .await
        .map_err(map_error(OPEN))?;
    let (identity, model, dimensions): (Vec<u8>, String, u32) =
        sqlx::query_as("SELECT identity, model, dimensions FROM store")
            .fetch_one(writer)
            .await
            .map_err(map_error(OPEN))?;
    if (model.as_str(), dimensions) != (builder.model().as_str(), builder.dimensions) {
        return Err(Error::new(ErrorKind::Conflict, OPEN)
            .with_context("stored model", model)
            .with_context("stored dimensions", dimensions)
            .with_context("model", builder.model())
            .with_context("dimensions", builder.dimensions));
    }
    Ok(identity)
}
