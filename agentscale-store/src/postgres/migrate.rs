use agentscale_core::{Error, ErrorKind, Result};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row};

use super::connect::BEGIN;
use super::map_error;
use super::statement::in_schema;

const OPERATION: &str = "migrate postgres";
/// Undefined table, undefined schema.
const ABSENT: [&str; 2] = ["42P01", "3F000"];
/// The lock of all migrations in a database: its number has no meaning.
const LOCK: i64 = 0x6167_656e_7473_6361;

/// The tables of one component: numbered migrations, applied forward only.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// Tells its version from those of other components of the schema.
    pub name: &'static str,
    /// SQL texts that name each table as `@.table`; the first one leads to version 1.
    pub migrations: &'static [&'static str],
}

impl Component {
    fn version(&self) -> i32 {
        i32::try_from(self.migrations.len()).unwrap_or(i32::MAX)
    }

    fn check(&self, found: i32) -> Result<()> {
        if found > self.version() {
            return Err(Error::new(ErrorKind::Unsupported, OPERATION)
                .with_context("component", self.name)
                .with_context("schema_version", found)
                .with_context("known_version", self.version()));
        }
        Ok(())
    }
}

/// Brings tables to the newest version. Whoever starts at the same time waits for the transaction.
pub(super) async fn migrate(
    connection: &mut PgConnection,
    schema: &str,
    component: &Component,
) -> Result<()> {
    let found = version(connection, schema, component).await?;
    component.check(found)?;
    if found == component.version() {
        return Ok(());
    }
    let migrated = apply(connection, schema, component).await;
    if migrated.is_err() {
        // The error of the step is the one to tell; the transaction ends with its connection, too.
        let _ = sqlx::raw_sql("ROLLBACK").execute(connection).await;
    }
    migrated
}

async fn apply(connection: &mut PgConnection, schema: &str, component: &Component) -> Result<()> {
    let failed = || map_error(OPERATION);
    let begin = format!("{BEGIN}; SET LOCAL lock_timeout = '60s'; SELECT pg_advisory_xact_lock({LOCK})");
    sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *connection).await.map_err(failed())?;
    // By a message of its own, whose view of the catalog begins behind the lock. The schema is made only where there is
    // none: to make it takes a right that to use it does not.
    let begin = format!(
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = '{schema}') \
           THEN CREATE SCHEMA {schema}; END IF; END $$; \
         CREATE TABLE IF NOT EXISTS {schema}.migrations (component text PRIMARY KEY, version integer NOT NULL)"
    );
    sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *connection).await.map_err(failed())?;
    // Another instance may have migrated in between.
    let found = version(connection, schema, component).await?;
    component.check(found)?;
    let done = usize::try_from(found).unwrap_or(0);
    for sql in component.migrations.iter().skip(done) {
        let sql = in_schema(sql, schema);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.map_err(failed())?;
    }
    let mark = format!(
        "INSERT INTO {schema}.migrations VALUES ('{}', {}) \
         ON CONFLICT (component) DO UPDATE SET version = excluded.version; COMMIT",
        component.name,
        component.version()
    );
    sqlx::raw_sql(AssertSqlSafe(mark)).execute(connection).await.map_err(failed())?;
    Ok(())
}

/// The version found, 0 where there are no tables. By the simple protocol, as a pooler needs it.
async fn version(connection: &mut PgConnection, schema: &str, component: &Component) -> Result<i32> {
    let text =
        format!("SELECT version::text FROM {schema}.migrations WHERE component = '{}'", component.name);
    match sqlx::raw_sql(AssertSqlSafe(text)).fetch_optional(connection).await {
        Ok(None) => Ok(0),
        Ok(Some(row)) => {
            let version: &str = row.try_get(0).map_err(map_error(OPERATION))?;
            version.parse().map_err(|error| Error::new(ErrorKind::Corrupt, OPERATION).with_source(error))
        }
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| ABSENT.contains(&&*code)) => {
            Ok(0)
        }
        Err(error) => Err(map_error(OPERATION)(error)),
    }
}
