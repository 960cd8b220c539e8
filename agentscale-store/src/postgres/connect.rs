//! Finds out what stands at the other end of an address.

use std::str::FromStr;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::time::timeout;

use super::config::{Pooling, PostgresConfig};
use super::map_error;

const OPERATION: &str = "open postgres";
/// A setting of our own: that it arrives says that no pooler stands between.
const MARK: &str = "agentscale.direct";
/// The code of a parameter at the start of a connection that is not understood.
const PROTOCOL_VIOLATION: &str = "08P01";
/// The oldest server that is known to work.
const OLDEST: u32 = 150_000;
/// What a statement sees begins with it, whatever the server's default is: behind the locks of the one before it.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// What an address leads to.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) options: PgConnectOptions,
    pub(super) pooling: Pooling,
    /// What begins a transaction behind a pooler.
    pub(super) begin: String,
    /// Whether what is committed is synced to the device.
    pub(super) syncs: bool,
    pub(super) max_connections: u32,
}

/// # Errors
/// `invalid_input` for what is no address; `unavailable` for a server that does not answer; `unsupported` for one that
/// is too old; else as [`map_error`] says.
pub(super) async fn find(url: &str, config: &PostgresConfig, patience: Duration) -> Result<Server> {
    // The error may quote the address, which holds a password.
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, OPERATION).with_context("reason", "not an address"))?
        // A pooler need not understand it; no decimal fraction is ever read.
        .extra_float_digits(None)
        .disable_statement_logging();
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("agentscale"),
    };
    let marked = options.clone().options([(MARK, "1")]);
    let connected = match connect(&marked, patience).await? {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(PROTOCOL_VIOLATION) => {
            connect(&options, patience).await?
        }
        other => other,
    };
    let mut connection = connected.map_err(map_error(OPERATION))?;
    let read = timeout(patience, inspect(&mut connection)).await.map_err(|_| no_answer())?;
    let found = read.map_err(map_error(OPERATION))?;
    // What is known has been read; the server forgets a connection that is not closed in words as well.
    let _ = timeout(patience, connection.close()).await;
    if found.version < OLDEST {
        return Err(Error::new(ErrorKind::Unsupported, OPERATION)
            .with_context("server_version", found.version)
            .with_context("oldest", OLDEST));
    }
    if !found.syncs {
        tracing::warn!("the server does not sync what it commits: no commit reaches the level disk");
    }
    let marked = if found.is_marked { Pooling::Direct } else { Pooling::Transaction };
    let pooling = config.pooling.unwrap_or(marked);
    // A server that is set up to lose commits would lose epochs with them.
    let synchronous = if found.synchronous == "off" { "on" } else { &found.synchronous };
    let settings = [
        ("statement_timeout", config.statement_timeout.as_millis().to_string()),
        ("lock_timeout", config.lock_timeout.as_millis().to_string()),
        // A process that is stopped within a transaction holds its locks no longer than this.
        ("idle_in_transaction_session_timeout", config.statement_timeout.as_millis().to_string()),
        ("synchronous_commit", synchronous.to_owned()),
        ("jit", "off".to_owned()),
        // All is found by its key. A plan that was made while a table was small would read all of it later.
        ("enable_seqscan", "off".to_owned()),
    ];
    let mut begin = BEGIN.to_owned();
    for (name, value) in &settings {
        begin.push_str(&format!("; SET LOCAL {name} = {value}"));
    }
    let options = match pooling {
        Pooling::Direct if found.is_marked => {
            let isolation = ("default_transaction_isolation", "read committed");
            options.options(settings).options([isolation, ("plan_cache_mode", "force_generic_plan")])
        }
        Pooling::Direct => options,
        Pooling::Transaction => options.statement_cache_capacity(0),
    };
    Ok(Server { options, pooling, begin, syncs: found.syncs, max_connections: found.max_connections })
}

struct Found {
    is_marked: bool,
    synchronous: String,
    syncs: bool,
    max_connections: u32,
    version: u32,
}

/// Asks by the simple protocol: it needs one connection of the server whatever stands between.
async fn inspect(connection: &mut PgConnection) -> sqlx::Result<Found> {
    let row = sqlx::raw_sql(
        "SELECT coalesce(current_setting('agentscale.direct', true), '') = '1', \
           current_setting('synchronous_commit'), current_setting('fsync') = 'on', \
           current_setting('max_connections'), current_setting('server_version_num')",
    )
    .fetch_one(connection)
    .await?;
    let number = |column: usize| -> sqlx::Result<u32> {
        let text: &str = row.try_get(column)?;
        text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
    };
    Ok(Found {
        is_marked: row.try_get(0)?,
        synchronous: row.try_get(1)?,
        syncs: row.try_get(2)?,
        max_connections: number(3)?,
        version: number(4)?,
    })
}

/// The outer error is a server that is silent.
pub(super) async fn connect(
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<sqlx::Result<PgConnection>> {
    timeout(patience, options.connect()).await.map_err(|_| no_answer())
}

fn no_answer() -> Error {
    Error::new(ErrorKind::Unavailable, OPERATION).with_context("reason", "no answer")
}
