//! A gateway out of a file: what it is made of, read, checked, and exchanged while it runs. `docs/gateway.md` has a whole
//! one.

mod assemble;
mod budget;
mod check;
mod configuration;
mod configured;
mod file;
mod format;
mod kinds;
mod parse;
mod parts;
mod provider;
mod registry;
mod secret;
mod sources;
mod watch;

pub use budget::{BudgetRule, PriceConfig, PricesConfig};
pub use configuration::{
    CacheConfig, CheaperConfig, Configuration, EmbedderConfig, KeyConfig, ModelConfig, PoolConfig,
    TargetConfig, TenantConfig,
};
pub use configured::ConfiguredGateway;
pub use file::GatewayFile;
pub use parts::GatewayParts;
pub use provider::ProviderConfig;
pub use registry::Registry;
pub use secret::SecretRef;
pub use sources::SecretsConfig;
#[cfg(feature = "vault")]
pub use sources::{VaultAuthConfig, VaultSource};
pub use watch::Watch;

use agentscale_core::{Error, ErrorKind};

const OPERATION: &str = "configure the gateway";

/// What is wrong with a field, by its path as `pools.openai.keys.one.limits`.
fn refused(field: impl std::fmt::Display, reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidInput, OPERATION).with_context("field", field).with_context("reason", reason)
}
