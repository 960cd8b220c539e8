use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use agentscale_core::Result;
use agentscale_core::llm::LlmProvider;
use agentscale_core::secrets::{EnvSecrets, FileSecrets, NamedSecret, SecretSource};

use super::{ProviderConfig, kinds, refused};

type Make = dyn Fn(&ProviderConfig, Option<NamedSecret>) -> Result<Arc<dyn LlmProvider>> + Send + Sync;

/// What a configuration can name: the kinds of providers, and the schemes of secrets.
///
/// ```
/// use std::sync::Arc;
///
/// use agentscale_core::testkit::ScriptedProvider;
/// use agentscale_llm::config::Registry;
///
/// #[derive(serde::Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Echo {
///     answer: String,
/// }
///
/// let registry = Registry::new().with_provider("echo", |settings, _key| {
///     let Echo { answer } = settings.read()?;
///     Ok(Arc::new(ScriptedProvider::new().with_answer(answer).repeating()))
/// });
/// ```
#[derive(Clone)]
pub struct Registry {
    kinds: BTreeMap<String, Arc<Make>>,
    schemes: BTreeMap<String, Arc<dyn SecretSource>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// The kinds of the features that are on: `simulated` and `extractive`; `openai`, `openai_responses`, `anthropic`,
    /// `gemini`, `ollama`. The schemes `env` and `file`; `vault` is there where a configuration says how it is reached.
    pub fn new() -> Self {
        let nothing = Self { kinds: BTreeMap::new(), schemes: BTreeMap::new() };
        let schemes = nothing.with_secrets("env", EnvSecrets).with_secrets("file", FileSecrets::new());
        kinds::register(schemes)
    }

    /// Adds a kind of providers, or puts it in the place of one: what makes a provider of its settings, and of the key's
    /// secret where one is named. The secret is to be read with each call.
    #[must_use]
    pub fn with_provider<M>(mut self, kind: impl Into<String>, make: M) -> Self
    where
        M: Fn(&ProviderConfig, Option<NamedSecret>) -> Result<Arc<dyn LlmProvider>> + Send + Sync + 'static,
    {
        self.kinds.insert(kind.into(), Arc::new(make));
        self
    }

    /// Adds a source of secrets, or puts it in the place of one: `scheme:name` is then `name` there. A scheme is of small
    /// letters.
    #[must_use]
    pub fn with_secrets(mut self, scheme: impl Into<String>, source: impl SecretSource) -> Self {
        self.schemes.insert(scheme.into(), Arc::new(source));
        self
    }

    pub(super) fn schemes(&self) -> BTreeMap<String, Arc<dyn SecretSource>> {
        self.schemes.clone()
    }

    pub(super) fn make(
        &self,
        config: &ProviderConfig,
        key: Option<NamedSecret>,
    ) -> Result<Arc<dyn LlmProvider>> {
        let Some(make) = self.kinds.get(config.kind()) else {
            let known: Vec<_> = self.kinds.keys().map(String::as_str).collect();
            return Err(refused("provider.kind", format!("none of {}", known.join(", "))));
        };
        make(config, key)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("kinds", &self.kinds.keys()).field("schemes", &self.schemes).finish()
    }
}
