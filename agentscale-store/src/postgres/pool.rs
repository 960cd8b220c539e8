#[cfg(feature = "schedules")]
mod transaction;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use futures::FutureExt;
use sqlx::postgres::{PgArguments, PgConnection, PgListener, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection, PgPool};
use tokio::time::{Instant, timeout};

use super::config::{Pooling, PostgresConfig};
use super::connect::{self, BEGIN, Server};
use super::error::is_lost;
use super::link::Link;
use super::map_error;
use super::migrate::{Component, migrate};
use super::outage::OutageWatch;
use super::slow::SlowLog;
use super::statement::{Bound, Statement, check_schema};
#[cfg(feature = "schedules")]
pub(crate) use transaction::Transaction;

/// A connection that was used within this time is used again without a question.
const FRESH: Duration = Duration::from_secs(1);
/// How long the answer to that question may take.
const PING: Duration = Duration::from_secs(2);
/// What a caller waits beyond the time that the server gives a statement.
const GRACE: Duration = Duration::from_secs(5);
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A database of PostgreSQL: a pool of connections and one schema. Clones share them.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
}

struct Shared {
    pool: PgPool,
    server: Server,
    schema: String,
    unreachable_after: Duration,
    statement_timeout: Duration,
    outages: OutageWatch,
    slow: SlowLog,
    lost: Arc<Losses>,
}

impl Postgres {
    /// Finds out what an address leads to. `writers` connections beside the pool are taken by [`Link`]s.
    ///
    /// The address is `postgres://user:password@host:port/database?sslmode=verify-full` with the parameters of libpq.
    ///
    /// # Errors
    /// `invalid_input` for what is no address or no name of a schema; `unavailable` for a server that does not answer;
    /// `unsupported` for one that is older than PostgreSQL 15; else as [`map_error`] says.
    pub async fn open(url: &str, config: &PostgresConfig, writers: u32) -> Result<Self> {
        check_schema(&config.schema)?;
        let acquire_timeout = config.pool.acquire_timeout()?;
        let server = connect::find(url, config, acquire_timeout).await?;
        let connections = config.pool.connections(server.max_connections)?;
        let lost = Arc::<Losses>::default();
        let pool = PgPoolOptions::new()
            .max_connections(connections.saturating_sub(writers).max(1))
            .acquire_timeout(acquire_timeout)
            .max_lifetime(LIFETIME)
            .test_before_acquire(false)
            .before_acquire({
                let lost = lost.clone();
                move |connection, known| {
                    let is_suspect = lost.is_after(known.age);
                    async move {
                        if is_suspect {
                            return Ok(false);
                        }
                        if known.idle_for < FRESH {
                            return Ok(true);
                        }
                        Ok(timeout(PING, connection.ping()).await.is_ok_and(|answer| answer.is_ok()))
                    }
                    .boxed()
                }
            })
            .connect_lazy_with(server.options.clone());
        let outages = OutageWatch::new(server.options.clone(), config.unreachable_after);
        let slow = SlowLog::new(config.slow_statement, pool.clone());
        Ok(Self {
            shared: Arc::new(Shared {
                pool,
                server,
                schema: config.schema.clone(),
                unreachable_after: config.unreachable_after,
                statement_timeout: config.statement_timeout,
                outages,
                slow,
                lost,
            }),
        })
    }

    /// Brings the tables of a component to the newest version, in one transaction a step.
    ///
    /// # Errors
    /// `unsupported` for tables of a newer version, which are left as they are; else as [`map_error`] says.
    pub async fn migrate(&self, component: &Component) -> Result<()> {
        let mut connection = self.connect().await?;
        let migrated = migrate(&mut connection, &self.shared.schema, component).await;
        // What was migrated is committed; a connection that does not close in words closes all the same.
        let _ = timeout(PING, connection.close()).await;
        migrated
    }

    /// A statement on the tables of this schema, which `template` names as `@.table`.
    pub fn statement(&self, operation: &'static str, template: &str) -> Statement {
        Statement::new(operation, template, &self.shared.schema)
    }

    /// Runs a statement on a connection of the pool, in a transaction of its own.
    ///
    /// # Errors
    /// As [`map_error`] says; `unavailable` where the server cannot be reached for
    /// [`unreachable_after`](PostgresConfig::unreachable_after), `deadline_exceeded` where it gave no answer in time.
    ///
    /// # Cancel safety
    /// The statement is run or not run.
    pub async fn fetch(&self, statement: &Statement, bound: Bound) -> Result<Vec<PgRow>> {
        self.fetch_by(Script::of(statement, bound)?).await
    }

    /// Runs a statement behind another one in the same transaction, which takes locks: what the statement sees begins
    /// behind them.
    ///
    /// # Errors
    /// Those of [`fetch`](Self::fetch).
    ///
    /// # Cancel safety
    /// The statement is run or not run; the locks are let go.
    pub async fn fetch_locked(
        &self,
        lock: &Statement,
        locked: Bound,
        statement: &Statement,
        bound: Bound,
    ) -> Result<Vec<PgRow>> {
        self.fetch_by(Script::of(statement, bound)?.behind(lock, locked)?).await
    }

    async fn fetch_by(&self, script: Script<'_>) -> Result<Vec<PgRow>> {
        let operation = script.statement.operation;
        let mut connection = tokio::select! {
            acquired = self.shared.pool.acquire() => acquired.map_err(map_error(operation))?,
            error = self.shared.outages.outage(operation) => return Err(error),
        };
        match self.run(&mut connection, script).await {
            Ok(rows) => Ok(rows),
            Err(failure) => {
                if failure.connection_is_lost {
                    // Not given back: whoever gets it next would fail as well.
                    drop(connection.detach());
                }
                Err(failure.error)
            }
        }
    }

    /// A connection of its own, for what writes all the time.
    pub fn link(&self) -> Link {
        Link::new(self.clone())
    }

    /// Hears what is notified on a channel, by a connection of the pool.
    pub(super) async fn listen(&self, channel: &str) -> sqlx::Result<PgListener> {
        let mut listener = PgListener::connect_with(&self.shared.pool).await?;
        listener.listen(channel).await?;
        Ok(listener)
    }

    pub(super) fn schema(&self) -> &str {
        &self.shared.schema
    }

    /// What stands between here and the server.
    pub fn pooling(&self) -> Pooling {
        self.shared.server.pooling
    }

    /// Whether the server syncs what it commits.
    pub fn syncs(&self) -> bool {
        self.shared.server.syncs
    }

    /// Closes the pool; what comes later is `unavailable`.
    pub async fn close(&self) {
        self.shared.pool.close().await;
    }

    pub(super) async fn connect(&self) -> Result<PgConnection> {
        let Shared { server, unreachable_after, .. } = &*self.shared;
        connect::connect(&server.options, *unreachable_after).await?.map_err(map_error("connect to postgres"))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.pool.is_closed()
    }

    pub(super) async fn run(
        &self,
        connection: &mut PgConnection,
        script: Script<'_>,
    ) -> std::result::Result<Vec<PgRow>, Failure> {
        let statement = script.statement;
        let began = Instant::now();
        let patience = self.shared.statement_timeout + GRACE;
        let answer = tokio::select! {
            answer = timeout(patience, self.exchange(connection, script)) => answer,
            error = self.shared.outages.outage(statement.operation) => {
                self.shared.lost.now();
                return Err(Failure { connection_is_lost: true, error });
            }
        };
        self.shared.slow.saw(statement, began.elapsed());
        match answer {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(native)) => {
                let connection_is_lost = is_lost(&native);
                if connection_is_lost {
                    self.shared.lost.now();
                }
                Err(Failure { connection_is_lost, error: map_error(statement.operation)(native) })
            }
            Err(_) => {
                let error = Error::new(ErrorKind::DeadlineExceeded, statement.operation)
                    .with_retry(agentscale_core::Retry::Later)
                    .with_context("reason", "no answer");
                Err(Failure { connection_is_lost: true, error })
            }
        }
    }

    async fn exchange(&self, connection: &mut PgConnection, script: Script<'_>) -> sqlx::Result<Vec<PgRow>> {
        let Script { lock, statement, arguments } = script;
        let query = |statement: &Statement, arguments| {
            sqlx::query_with(AssertSqlSafe(statement.text.clone()), arguments)
        };
        let is_direct = self.shared.server.pooling == Pooling::Direct;
        if is_direct && lock.is_none() {
            return query(statement, arguments).fetch_all(connection).await;
        }
        let mut transaction = match is_direct {
            true => connection.begin_with(BEGIN).await?,
            false => connection.begin_with(AssertSqlSafe(self.shared.server.begin.clone())).await?,
        };
        let ran = async {
            if let Some((lock, arguments)) = lock {
                query(lock, arguments).persistent(is_direct).execute(&mut *transaction).await?;
            }
            query(statement, arguments).persistent(is_direct).fetch_all(&mut *transaction).await
        };
        match ran.await {
            Ok(rows) => {
                transaction.commit().await?;
                Ok(rows)
            }
            Err(error) => {
                // The error of the statement is the one to tell; the transaction ends with its connection, too.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("schema", &self.shared.schema)
            .field("pooling", &self.shared.server.pooling)
            .field("connections", &self.shared.pool.options().get_max_connections())
            .finish_non_exhaustive()
    }
}

/// What runs in one transaction: a statement, behind one that takes locks where there are any to take.
pub(super) struct Script<'a> {
    lock: Option<(&'a Statement, PgArguments)>,
    statement: &'a Statement,
    arguments: PgArguments,
}

impl<'a> Script<'a> {
    pub(super) fn of(statement: &'a Statement, bound: Bound) -> Result<Self> {
        Ok(Self { lock: None, statement, arguments: bound.end()? })
    }

    fn behind(self, lock: &'a Statement, bound: Bound) -> Result<Self> {
        Ok(Self { lock: Some((lock, bound.end()?)), ..self })
    }
}

/// Why a statement failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) connection_is_lost: bool,
}

/// When a connection was last lost. Those that were opened before are not trusted: the server may be another one.
#[derive(Debug, Default)]
struct Losses {
    last: Mutex<Option<Instant>>,
}

impl Losses {
    fn now(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether one was lost since a connection of this age was opened.
    fn is_after(&self, age: Duration) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < age)
    }
}
