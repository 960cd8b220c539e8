use std::fmt::Debug;

use async_trait::async_trait;
use tower_layer::Layer;
use tower_service::Service;

use super::{call, shared_service};
use crate::llm::{
    Completion, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings, LlmCapabilities,
    LlmProvider, ModelInfo,
};
use crate::{Error, Result};

/// Asks an [`LlmService`] for a stream rather than a whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRequest(pub CompletionRequest);

shared_service! {
    /// The calls of an [`LlmProvider`] as services of their requests.
    ///
    /// A streaming call ends, as a layer sees it, when the stream begins: a timeout bounds the wait for its first event,
    /// and a stream that breaks is no failure to a circuit breaker.
    LlmService over LlmProvider:
    CompletionRequest => Completion: |provider, request| provider.complete(request);
    StreamRequest => CompletionStream: |provider, request| provider.stream(request.0);
    EmbeddingRequest => Embeddings: |provider, request| provider.embed(request);
}

/// An [`LlmProvider`] whose calls go through a stack of layers.
#[derive(Clone, Debug)]
pub struct ServiceLlmProvider<S> {
    stack: S,
    capabilities: LlmCapabilities,
    models: Vec<ModelInfo>,
}

impl<S> ServiceLlmProvider<S> {
    /// Puts a layer, or a stack of them, before a provider. Its capabilities and models are read now.
    pub fn layered<P: LlmProvider, L: Layer<LlmService<P>, Service = S>>(provider: P, layer: &L) -> Self {
        let (capabilities, models) = (provider.capabilities(), provider.models());
        Self::new(layer.layer(LlmService::new(provider)), capabilities, models)
    }

    /// A provider over any stack, which can do this and knows these models.
    pub fn new(stack: S, capabilities: LlmCapabilities, models: Vec<ModelInfo>) -> Self {
        Self { stack, capabilities, models }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S> LlmProvider for ServiceLlmProvider<S>
where
    S: Clone + Debug + Send + Sync + 'static,
    S: Service<CompletionRequest, Response = Completion, Error = Error, Future: Send>,
    S: Service<StreamRequest, Response = CompletionStream, Error = Error, Future: Send>,
    S: Service<EmbeddingRequest, Response = Embeddings, Error = Error, Future: Send>,
{
    fn capabilities(&self) -> LlmCapabilities {
        self.capabilities
    }

    /// The stack does not tell models apart.
    fn capabilities_of(&self, _: &str) -> LlmCapabilities {
        self.capabilities
    }

    fn models(&self) -> Vec<ModelInfo> {
        self.models.clone()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        call(&self.stack, request).await
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        call(&self.stack, StreamRequest(request)).await
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        call(&self.stack, request).await
    }
}
