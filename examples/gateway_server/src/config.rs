//! What the server is told. Times are in milliseconds, sizes in bytes.

mod file;
mod limits;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agentscale::core::{Account, Error, Priority, Result, Tenant};
use serde::Deserialize;

pub(crate) use file::ConfigFile;
pub(crate) use limits::Limits;

use crate::auth::KeyHash;

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerConfig {
    /// Where to listen; `127.0.0.1:8080`.
    pub(crate) listen: SocketAddr,
    /// How long the server still listens, and says that it is not ready, once the end was asked for: the time that a
    /// balancer needs to notice; 0.
    pub(crate) drain_delay_ms: u64,
    /// How long open answers may take behind that; 30,000.
    pub(crate) drain_timeout_ms: u64,
    /// How long the ledger may then take to write what was used; what it did not write by then goes to the log; 5,000.
    pub(crate) settle_timeout_ms: u64,
    /// What clients may take.
    pub(crate) limits: Limits,
    /// Who may call.
    pub(crate) keys: Vec<KeyConfig>,
    /// The file of the gateway, TOML or YAML, beside this one unless its path says otherwise: docs/gateway.md.
    pub(crate) gateway: Option<PathBuf>,
    /// The file of SQLite that keeps budgets and usage; they are kept in memory, as long as the process runs.
    pub(crate) ledger: Option<PathBuf>,
}

/// One API key, and who calls with it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyConfig {
    /// Its name in logs.
    pub(crate) name: String,
    /// What `gateway_server hash-key` printed.
    pub(crate) hash: KeyHash,
    /// Whose calls these are.
    pub(crate) tenant: Tenant,
    /// Who pays within the tenant.
    #[serde(default)]
    pub(crate) account: Option<Account>,
    /// The most urgent class that its calls may ask for; `conversation`.
    #[serde(default)]
    pub(crate) priority: Priority,
    /// The models and hints that it may call; all where there is no such list.
    #[serde(default)]
    pub(crate) models: Option<Vec<String>>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            drain_delay_ms: 0,
            drain_timeout_ms: 30_000,
            settle_timeout_ms: 5_000,
            limits: Limits::default(),
            keys: Vec::new(),
            gateway: None,
            ledger: None,
        }
    }
}

impl ServerConfig {
    /// What a file says.
    fn parse(file: &Path, text: &str) -> Result<Self> {
        let unusable = || file::unusable(file);
        let mut config: Self = toml::from_str(text).map_err(|error| wrong(text, &error, unusable()))?;
        let Some(gateway) = config.gateway else {
            return Err(unusable().with_context("field", "gateway").with_context("reason", "not given"));
        };
        config.gateway = Some(file.with_file_name(gateway));
        config.ledger = config.ledger.map(|ledger| file.with_file_name(ledger));
        config.limits.check()?;
        Ok(config)
    }

    pub(crate) fn drain_delay(&self) -> Duration {
        Duration::from_millis(self.drain_delay_ms)
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }

    pub(crate) fn settle_timeout(&self) -> Duration {
        Duration::from_millis(self.settle_timeout_ms)
    }
}

/// What is wrong and in which line, without the line: whoever puts a key where its hash belongs is not to find it in a log.
fn wrong(text: &str, error: &toml::de::Error, unusable: Error) -> Error {
    let before = error.span().and_then(|span| text.get(..span.start));
    let unusable = match before {
        Some(before) => unusable.with_context("line", before.matches('\n').count() + 1),
        None => unusable,
    };
    // Values stand in quotes.
    unusable.with_context("reason", error.message().split('"').next().unwrap_or_default().trim_end())
}
