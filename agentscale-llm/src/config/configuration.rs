use std::collections::BTreeMap;
use std::num::NonZeroU32;

use agentscale_core::{Priority, Result, Tenant};
use serde::Deserialize;

use super::{BudgetRule, PricesConfig, ProviderConfig, SecretRef, SecretsConfig, check, parse};
use crate::cache::{ResponseCacheConfig, SemanticConfig};
use crate::gateway::{GatewayConfig, KeyChoice, KeyLimits};

/// All that a gateway is made of.
///
/// ```
/// use agentscale_llm::config::Configuration;
///
/// let configuration = Configuration::from_toml(
///     r#"
///     pools.local = { provider = { kind = "extractive" }, keys.rack = {} }
///     models.reader = { targets = [{ pool = "local", model = "extractive" }] }
///     hints.fast = "reader"
///     "#,
/// )?;
/// assert_eq!(configuration.hints["fast"], "reader");
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Configuration {
    /// How calls are queued and repeated.
    pub gateway: GatewayConfig,
    /// Where secrets come from, and how long they are kept.
    pub secrets: SecretsConfig,
    /// The keys, by the pool's name; one at least.
    pub pools: BTreeMap<String, PoolConfig>,
    /// The models, by their names; one at least.
    pub models: BTreeMap<String, ModelConfig>,
    /// Other names for models, for all tenants; none.
    pub hints: BTreeMap<String, String>,
    /// What is particular to a tenant, by its name; nothing.
    pub tenants: BTreeMap<Tenant, TenantConfig>,
    /// How much may be spent; nothing is limited. Where there is one, the host gives a
    /// [ledger](super::GatewayParts::with_ledger).
    pub budgets: Vec<BudgetRule>,
    /// What models cost.
    pub prices: PricesConfig,
    /// What keeps answers for the same question; without it none are kept.
    pub cache: Option<CacheConfig>,
}

/// Keys of one provider through which one class of models is called.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PoolConfig {
    /// What its keys call, unless they say otherwise.
    pub provider: Option<ProviderConfig>,
    /// How it chooses among the keys that have room, `round_robin` or `two_choices`; `round_robin`.
    pub choice: KeyChoice,
    /// The keys, by ids that stand once in all pools and are no secrets; one at least.
    pub keys: BTreeMap<String, KeyConfig>,
}

/// One key.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct KeyConfig {
    /// What it calls, as where each key has an address of its own; what its pool's keys call.
    pub provider: Option<ProviderConfig>,
    /// Where the secret stands, as `env:OPENAI_API_KEY`; none, as local servers take none.
    pub secret: Option<SecretRef>,
    /// What it may do a minute and at a time; no limits.
    pub limits: KeyLimits,
    /// The name by which it shares the limits of other keys of its pool; limits of its own.
    pub quota: Option<String>,
    /// The tenants that may use it, and no others; everyone.
    pub tenants: Option<Vec<Tenant>>,
}

/// A model, and where calls of it go.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelConfig {
    /// Where it is called: the first that has room and works; one at least.
    pub targets: Vec<TargetConfig>,
    /// Where calls go when the line has been long for long; nowhere.
    pub overflow: Vec<TargetConfig>,
    /// Where calls of a class and of lower ones go first; nowhere.
    pub cheaper: Vec<CheaperConfig>,
    /// How many tokens of input and output it takes together; not known.
    pub context_window: Option<u32>,
    /// The longest answer in tokens of calls that name none; `gateway.max_output_tokens`.
    pub max_output_tokens: Option<u32>,
    /// The model for what is longer than the window; none.
    pub long_context: Option<String>,
    /// The model for what this one refuses to answer; none.
    pub on_refusal: Option<String>,
    /// Whether a streamed answer that breaks off goes on at another target that can; false.
    pub continues: bool,
}

/// A model at a pool.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TargetConfig {
    /// The pool.
    pub pool: String,
    /// The model's name there; as here.
    #[serde(default)]
    pub model: Option<String>,
}

/// A cheaper and slower way for calls that can wait.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CheaperConfig {
    /// The highest class that takes it: `incident`, `supervised`, `conversation`, `scheduled`, `consolidation`,
    /// `evaluation`.
    pub class: Priority,
    /// The pool.
    pub pool: String,
    /// The model's name there; as here.
    #[serde(default)]
    pub model: Option<String>,
}

/// What is particular to a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TenantConfig {
    /// Its share of the tokens while calls wait; 1.
    pub weight: Option<NonZeroU32>,
    /// Names of its own for models, which go before those for all; none.
    pub hints: BTreeMap<String, String>,
}

/// What keeps answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CacheConfig {
    /// How long and how much is kept.
    pub answers: ResponseCacheConfig,
    /// What makes vectors of questions, so that those that mean the same are answered alike; none.
    pub embedder: Option<EmbedderConfig>,
    /// What counts as meaning the same, for an embedder; its defaults.
    pub semantic: Option<SemanticConfig>,
}

/// A model of the gateway that makes vectors.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct EmbedderConfig {
    /// The model.
    pub model: String,
    /// The length of its vectors.
    pub dimensions: NonZeroU32,
}

impl Configuration {
    /// Reads TOML.
    ///
    /// # Errors
    /// `invalid_input` with the `line` and `column` of what is no TOML, of an unknown field and of a value of another kind,
    /// else with the `field` that cannot work: a name that stands for nothing, an id that stands twice, a limit of zero;
    /// `too_large` beyond 1 MiB. No value stands in an error.
    pub fn from_toml(text: &str) -> Result<Self> {
        parse::toml(text).and_then(Self::checked)
    }

    /// Reads YAML.
    ///
    /// # Errors
    /// As for [`from_toml`](Self::from_toml); `invalid_input` too for what its aliases repeat beyond any use, and for more than
    /// one document.
    pub fn from_yaml(text: &str) -> Result<Self> {
        parse::yaml(text).and_then(Self::checked)
    }

    fn checked(self) -> Result<Self> {
        check::check(&self)?;
        Ok(self)
    }
}
