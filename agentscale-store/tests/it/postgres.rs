//! Stores on PostgreSQL, each in a schema of its own.

mod bad_input;
mod conformance;
mod faults;
pub(crate) mod jobs;
mod opening;
mod outages;
mod owners;
mod poolers;
pub(crate) mod relay;
mod shares;
mod slow;

use std::sync::Arc;

use agentscale_core::Clock;
use agentscale_core::checkpoint::StateLimits;
use agentscale_core::testkit::TestServer;
use agentscale_core::time::SystemClock;
use agentscale_store::postgres::Pooling;
use agentscale_store::{PostgresCheckpointConfig, PostgresCheckpointStore};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

/// A schema that is dropped with this.
pub(crate) struct Scene {
    pub(crate) url: String,
    pub(crate) schema: String,
    pooling: Option<Pooling>,
}

impl Scene {
    /// `None`, and a word about it, where no server is named.
    pub(crate) fn new(server: TestServer) -> Option<Self> {
        let url = server.url()?;
        // What keeps prepared statements is used as the server itself is; all else is found out.
        let pooling = (server == TestServer::PreparedPgBouncer).then_some(Pooling::Direct);
        Some(Self { url, schema: format!("test_{}", uuid::Uuid::now_v7().simple()), pooling })
    }

    /// The schema of another process, which makes and drops it.
    pub(crate) fn of_another(url: &str, schema: &str) -> Self {
        Self { url: url.to_owned(), schema: schema.to_owned(), pooling: None }
    }

    pub(crate) fn config(&self) -> PostgresCheckpointConfig {
        let mut config = PostgresCheckpointConfig::default();
        config.database.schema.clone_from(&self.schema);
        config.database.pooling = self.pooling;
        config.database.pool.max_connections = Some(6);
        config.retention = None;
        config
    }

    pub(crate) async fn open(&self) -> PostgresCheckpointStore {
        self.open_with(self.config()).await
    }

    pub(crate) async fn open_within(&self, limits: StateLimits) -> PostgresCheckpointStore {
        let mut config = self.config();
        config.limits = limits;
        self.open_with(config).await
    }

    pub(crate) async fn open_with(&self, config: PostgresCheckpointConfig) -> PostgresCheckpointStore {
        PostgresCheckpointStore::open_with(&self.url, config, clock()).await.expect("the store opens")
    }

    /// Runs SQL in which `@` stands for the schema.
    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = connect(&self.url).await.expect("the server is there");
        let sql = sql.replace('@', &self.schema);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the statement runs");
        connection.close().await.expect("the connection closes");
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// As a pooler takes it.
pub(crate) async fn connect(url: &str) -> sqlx::Result<PgConnection> {
    url.parse::<PgConnectOptions>()?.extra_float_digits(None).connect().await
}

impl Drop for Scene {
    fn drop(&mut self) {
        let (url, schema) = (self.url.clone(), self.schema.clone());
        // Within a test there is a runtime already, which may not be blocked.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = connect(&url).await?;
                let sql = AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {schema} CASCADE"));
                sqlx::raw_sql(sql).execute(&mut connection).await?;
                connection.close().await
            })
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("a schema is left: {error}");
        }
    }
}
