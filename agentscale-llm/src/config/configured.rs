use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use agentscale_core::Result;
use agentscale_core::knowledge::ProviderEmbedder;
use agentscale_core::llm::{
    Completion, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings, LlmCapabilities,
    LlmProvider, ModelInfo,
};
use agentscale_core::secrets::{CachedSecrets, NamedSecret};
use async_trait::async_trait;
use tokio::sync::Mutex;

use super::assemble::{add_models, provider_key};
use super::{
    CacheConfig, Configuration, GatewayParts, ProviderConfig, SecretRef, SecretsConfig, refused, sources,
};
use crate::cache::ResponseCache;
use crate::gateway::{Gateway, GatewayBuilder, KeyPool};

/// The gateway of a configuration, and the caches before it. Clones are one.
///
/// ```
/// use agentscale_core::LlmProviderExt;
/// use agentscale_llm::NOTHING_FOUND;
/// use agentscale_llm::config::{Configuration, ConfiguredGateway, GatewayParts};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentscale_core::Result<()> {
/// let configuration = Configuration::from_toml(
///     r#"
///     pools.local = { provider = { kind = "extractive" }, keys.rack = {} }
///     models.reader = { targets = [{ pool = "local", model = "extractive" }] }
///     "#,
/// )?;
/// let gateway = ConfiguredGateway::new(configuration, GatewayParts::new()).await?;
/// assert_eq!(gateway.ask("How long does a lease last?").await?, NOTHING_FOUND);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ConfiguredGateway {
    shared: Arc<Shared>,
}

struct Shared {
    parts: GatewayParts,
    gateway: Gateway,
    front: RwLock<Front>,
    /// Held while a configuration is made ready: one at a time.
    made: Mutex<Made>,
}

/// What calls come to first.
#[derive(Clone)]
enum Front {
    Gateway(Gateway),
    Cache(ResponseCache<Gateway>),
}

/// What was made of a configuration, kept for the next.
#[derive(Default)]
struct Made {
    secrets: Option<(SecretsConfig, CachedSecrets)>,
    providers: HashMap<String, MadeProvider>,
    cache: Option<CacheConfig>,
}

#[derive(Clone)]
struct MadeProvider {
    config: ProviderConfig,
    secret: Option<SecretRef>,
    provider: Arc<dyn LlmProvider>,
}

impl ConfiguredGateway {
    /// Makes it.
    ///
    /// # Errors
    /// `invalid_input` with the `field` that cannot work, and for a secret that is not where it should be; one whose source
    /// cannot be reached is waited for by the calls that need it.
    pub async fn new(configuration: Configuration, parts: GatewayParts) -> Result<Self> {
        let (made, builder) = Made::default().follow(&configuration, &parts).await?;
        let gateway = builder.build()?;
        let front = front(&gateway, configuration.cache.as_ref(), &parts)?;
        let shared = Shared { parts, gateway, front: RwLock::new(front), made: Mutex::new(made) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Puts another configuration in the place of this one. Calls under way and in line go on as they began. A key whose
    /// pool, id, provider and secret stay keeps its connections; one that keeps its pool and id keeps what it has used. A
    /// cache whose configuration stays keeps its answers.
    ///
    /// # Errors
    /// As for [`new`](Self::new); then nothing has changed.
    ///
    /// # Cancel safety
    /// Where it is dropped nothing has changed.
    pub async fn apply(&self, configuration: Configuration) -> Result<()> {
        let shared = &self.shared;
        let mut made = shared.made.lock().await;
        let (new, builder) = made.follow(&configuration, &shared.parts).await?;
        let front = match made.cache == configuration.cache {
            true => None,
            false => Some(front(&shared.gateway, configuration.cache.as_ref(), &shared.parts)?),
        };
        shared.gateway.reload(builder)?;
        if let Some(front) = front {
            *shared.front.write().unwrap_or_else(PoisonError::into_inner) = front;
        }
        *made = new;
        Ok(())
    }

    /// The gateway behind the caches.
    pub fn gateway(&self) -> &Gateway {
        &self.shared.gateway
    }

    /// The cache before it, where there is one.
    pub fn cache(&self) -> Option<ResponseCache<Gateway>> {
        match self.front() {
            Front::Cache(cache) => Some(cache),
            Front::Gateway(_) => None,
        }
    }

    fn front(&self) -> Front {
        self.shared.front.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Made {
    /// What `configuration` needs, with what can be kept of this.
    async fn follow(
        &self,
        configuration: &Configuration,
        parts: &GatewayParts,
    ) -> Result<(Self, GatewayBuilder)> {
        let kept = self.secrets.as_ref().filter(|(config, _)| *config == configuration.secrets);
        let secrets = match kept {
            Some((_, secrets)) => secrets.clone(),
            None => configuration.secrets.source(&parts.registry, &parts.metrics)?,
        };
        let mut new = Self { cache: configuration.cache.clone(), ..Self::default() };
        let mut named = Vec::new();
        let mut builder = Gateway::builder()
            .config(configuration.gateway.clone())
            .clock(Arc::clone(&parts.clock))
            .metrics(parts.metrics.clone());
        if let Some(ledger) = &parts.ledger {
            builder = builder.ledger(Arc::clone(ledger));
        }
        for (pool_name, pool) in &configuration.pools {
            let mut keys = KeyPool::new(pool_name).with_choice(pool.choice);
            for (id, key) in &pool.keys {
                let field = format!("pools.{pool_name}.keys.{id}");
                let config = key.provider.as_ref().or(pool.provider.as_ref());
                let config = config.ok_or_else(|| refused(format!("{field}.provider"), "there is none"))?;
                let secret =
                    key.secret.as_ref().map(|secret| NamedSecret::new(secrets.clone(), secret.text()));
                let before = self.providers.get(&field).filter(|before| {
                    let same = before.config == *config && before.secret == key.secret;
                    same && (secret.is_none() || kept.is_some())
                });
                let provider = match before {
                    Some(before) => Arc::clone(&before.provider),
                    None => parts
                        .registry
                        .make(config, secret.clone())
                        .map_err(|error| error.with_context("key", &field))?,
                };
                named.extend(secret.map(|secret| (format!("{field}.secret"), secret)));
                keys = keys.key(provider_key(id, key, Arc::clone(&provider)));
                let made = MadeProvider { config: config.clone(), secret: key.secret.clone(), provider };
                new.providers.insert(field, made);
            }
            builder = builder.pool(keys);
        }
        sources::check(named).await?;
        new.secrets = Some((configuration.secrets.clone(), secrets));
        Ok((new, add_models(builder, configuration)))
    }
}

fn front(gateway: &Gateway, config: Option<&CacheConfig>, parts: &GatewayParts) -> Result<Front> {
    let Some(config) = config else { return Ok(Front::Gateway(gateway.clone())) };
    let at = |error: agentscale_core::Error| error.with_context("section", "cache");
    let cache = ResponseCache::new(gateway.clone(), &config.answers).map_err(at)?;
    let cache = cache.with_clock(Arc::clone(&parts.clock)).with_metrics(&parts.metrics)?;
    let Some(embedder) = &config.embedder else { return Ok(Front::Cache(cache)) };
    let embedder = ProviderEmbedder::new(gateway.clone(), &embedder.model, embedder.dimensions.get());
    let semantic = config.semantic.clone().unwrap_or_default();
    cache.with_semantic(Arc::new(embedder), &semantic).map(Front::Cache).map_err(at)
}

macro_rules! forward {
    ($self:ident, $front:ident => $call:expr) => {
        match $self.front() {
            Front::Gateway($front) => $call,
            Front::Cache($front) => $call,
        }
    };
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmProvider for ConfiguredGateway {
    fn capabilities(&self) -> LlmCapabilities {
        self.shared.gateway.capabilities()
    }

    fn capabilities_of(&self, model: &str) -> LlmCapabilities {
        self.shared.gateway.capabilities_of(model)
    }

    fn models(&self) -> Vec<ModelInfo> {
        self.shared.gateway.models()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        forward!(self, front => front.complete(request).await)
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        forward!(self, front => front.stream(request).await)
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        forward!(self, front => front.embed(request).await)
    }
}

impl fmt::Debug for ConfiguredGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfiguredGateway")
            .field("gateway", &self.shared.gateway)
            .field("parts", &self.shared.parts)
            .finish_non_exhaustive()
    }
}
