use std::fmt;
use std::sync::Arc;

use agentscale_core::llm::{
    CallContext, Completion, CompletionRequest, CompletionStream, LlmCapabilities, LlmProvider, Message,
    ModelInfo,
};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::time::PausedClock;
use agentscale_core::{Error, ErrorKind, Priority, Result, Tenant};
use agentscale_llm::gateway::{
    Gateway, GatewayBuilder, GatewayConfig, GatewayModel, KeyLimits, KeyPool, ProviderKey,
};
use async_trait::async_trait;

pub(crate) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

pub(crate) fn ask(name: &str) -> CompletionRequest {
    let context = CallContext::new().with_tenant(tenant(name));
    CompletionRequest::new(vec![Message::user("how long does a lease last?")]).with_context(context)
}

pub(crate) fn ask_as(name: &str, class: Priority) -> CompletionRequest {
    let mut request = ask(name);
    request.context.priority = class;
    request
}

/// A model `m` over one pool, a key for each provider.
pub(crate) fn over<P: LlmProvider>(providers: impl IntoIterator<Item = P>) -> Gateway {
    pooled(providers.into_iter().map(|provider| (provider, KeyLimits::new()))).build().unwrap()
}

pub(crate) fn pooled<P: LlmProvider>(keys: impl IntoIterator<Item = (P, KeyLimits)>) -> GatewayBuilder {
    let pool = keys.into_iter().enumerate().fold(KeyPool::new("p"), |pool, (place, (provider, limits))| {
        pool.key(ProviderKey::new(format!("k{place}"), provider).with_limits(limits))
    });
    builder().pool(pool).model(GatewayModel::new("m").via("p", ""))
}

/// A model `m` over a pool of one key for each provider: the first that works.
pub(crate) fn tiers(providers: impl IntoIterator<Item = ScriptedProvider>) -> GatewayBuilder {
    let mut model = GatewayModel::new("m");
    let mut gateway = builder();
    for (place, provider) in providers.into_iter().enumerate() {
        let key = ProviderKey::new(format!("k{place}"), provider);
        gateway = gateway.pool(KeyPool::new(format!("p{place}")).key(key));
        model = model.via(format!("p{place}"), format!("m{place}"));
    }
    gateway.model(model)
}

pub(crate) fn builder() -> GatewayBuilder {
    Gateway::builder().clock(Arc::new(PausedClock::new())).config(GatewayConfig::new())
}

pub(crate) fn answering() -> ScriptedProvider {
    ScriptedProvider::new().with_answer("ten seconds").repeating()
}

pub(crate) fn failing(kind: ErrorKind) -> ScriptedProvider {
    ScriptedProvider::new().with_error(Error::new(kind, "call")).repeating()
}

/// Nobody waits, and nothing is held on any key.
pub(crate) fn assert_idle(gateway: &Gateway) {
    assert_eq!(gateway.waiting(), 0);
    assert!(gateway.keys().iter().all(|key| key.in_flight == 0), "{:?}", gateway.keys());
}

/// Nothing is held, and nothing was used.
pub(crate) fn assert_untouched(gateway: &Gateway) {
    assert_idle(gateway);
    assert!(gateway.keys().iter().all(|key| key.free_share == 1.0), "{:?}", gateway.keys());
}

pub(crate) fn calls(provider: &ScriptedProvider) -> usize {
    provider.requests().len()
}

/// Answers with the streams that it makes.
pub(crate) struct Streaming<F>(pub(crate) F);

impl<F> fmt::Debug for Streaming<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming").finish_non_exhaustive()
    }
}

#[async_trait]
impl<F: Fn(CompletionRequest) -> CompletionStream + Send + Sync + 'static> LlmProvider for Streaming<F> {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities::new()
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        (self.0)(request).collect().await
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        Ok((self.0)(request))
    }
}
