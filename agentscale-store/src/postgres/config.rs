use std::env;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Connections that stay free for administration.
const ADMINISTRATION: u32 = 5;
/// The most connections of all instances together.
const MOST: u32 = 500;

/// How a database of PostgreSQL is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// Where the tables are; made where it does not exist. Of a-z, 0-9 and `_`. Default `agentscale`.
    pub schema: String,
    /// What stands between here and the server; found out at the start where `None`, the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// The connections.
    pub pool: PoolConfig,
    /// How long an operation waits for a server that cannot be reached. Default 4 s.
    pub unreachable_after: Duration,
    /// How long one statement may take. Default 30 s.
    pub statement_timeout: Duration,
    /// How long a statement waits for a lock that another connection holds. Default 5 s.
    pub lock_timeout: Duration,
    /// Statements that take longer are logged, with their plan; none where `None`. Default 250 ms.
    pub slow_statement: Option<Duration>,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            schema: "agentscale".to_owned(),
            pooling: None,
            pool: PoolConfig::default(),
            unreachable_after: Duration::from_secs(4),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(5),
            slow_statement: Some(Duration::from_millis(250)),
        }
    }
}

/// What stands between a client and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pooling {
    /// Nothing, or a pooler that gives each client a connection of its own: statements are prepared once.
    Direct,
    /// A pooler that gives each transaction a connection, such as PgBouncer in transaction mode.
    Transaction,
}

/// How many connections there are: runs × 20 × 1.5, at most 500 and what the server allows, divided by the instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PoolConfig {
    /// Runs of agents at the same time. Default: `MAX_CONCURRENT_AGENT_RUNS`, else ten a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<u32>,
    /// Instances that share the server. Default: `AGENTSCALE_POSTGRES_INSTANCES`, else 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Connections of this instance, whatever was reckoned. Default: `AGENTSCALE_POSTGRES_MAX_CONNECTIONS`, else none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// How long an operation waits for a free connection. Default: `AGENTSCALE_POSTGRES_ACQUIRE_SECONDS`, else 30 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acquire_timeout: Option<Duration>,
}

impl Default for PoolConfig {
    /// Nothing is set: the environment decides, and then the defaults of each field.
    fn default() -> Self {
        Self { runs: None, instances: None, max_connections: None, acquire_timeout: None }
    }
}

impl PoolConfig {
    /// Connections of this instance, of which the server allows so many in all.
    ///
    /// # Errors
    /// `invalid_input` for a variable of the environment that is no number.
    pub(super) fn connections(&self, server_allows: u32) -> Result<u32> {
        let most = or_environment(self.max_connections, "AGENTSCALE_POSTGRES_MAX_CONNECTIONS")?;
        if let Some(most) = most {
            return Ok(most.max(1));
        }
        let runs = or_environment(self.runs, "MAX_CONCURRENT_AGENT_RUNS")?;
        let runs = runs.unwrap_or_else(|| {
            let processors = thread::available_parallelism().map_or(1, |count| count.get());
            u32::try_from(processors).unwrap_or(u32::MAX).saturating_mul(10)
        });
        let instances = or_environment(self.instances, "AGENTSCALE_POSTGRES_INSTANCES")?.unwrap_or(1);
        let wanted = runs.saturating_mul(30).min(MOST);
        let allowed = server_allows.saturating_sub(ADMINISTRATION);
        Ok((wanted.min(allowed) / instances.max(1)).max(1))
    }

    /// # Errors
    /// `invalid_input` for a variable of the environment that is no number.
    pub(super) fn acquire_timeout(&self) -> Result<Duration> {
        if let Some(timeout) = self.acquire_timeout {
            return Ok(timeout);
        }
        let seconds = or_environment(None, "AGENTSCALE_POSTGRES_ACQUIRE_SECONDS")?;
        Ok(Duration::from_secs(seconds.unwrap_or(30)))
    }
}

fn or_environment<T: FromStr>(set: Option<T>, variable: &'static str) -> Result<Option<T>> {
    if set.is_some() {
        return Ok(set);
    }
    let Ok(text) = env::var(variable) else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| {
        Error::new(ErrorKind::InvalidInput, "open postgres")
            .with_context("variable", variable)
            .with_context("reason", "not a number")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_follow_the_runs_up_to_what_the_server_allows_and_are_shared_by_the_instances() {
        let connections = |runs, instances, allows| {
            let pool = PoolConfig { runs: Some(runs), instances: Some(instances), ..PoolConfig::default() };
            pool.connections(allows).unwrap()
        };
        assert_eq!(connections(10, 1, 1_000), 300);
        assert_eq!(connections(1_000, 1, 1_000), 500);
        assert_eq!(connections(1_000, 4, 1_000), 125);
        assert_eq!(connections(1_000, 4, 105), 25);
        assert_eq!(connections(1, 100, 1_000), 1);
        let set = PoolConfig { max_connections: Some(7), runs: Some(1_000), ..PoolConfig::default() };
        assert_eq!(set.connections(1_000).unwrap(), 7);
    }
}
