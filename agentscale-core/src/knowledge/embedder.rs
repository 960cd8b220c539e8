use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::llm::{CallContext, EmbeddingRequest, LlmProvider};
use crate::{Error, ErrorKind, Result};

/// Turns texts into vectors of one length.
#[async_trait]
pub trait Embedder: Debug + Send + Sync + 'static {
    /// Names what made the vectors: those of different names are not comparable.
    fn model(&self) -> &str;

    /// The length of the vectors.
    fn dimensions(&self) -> u32;

    /// One vector a text, in their order.
    ///
    /// # Errors
    /// What the embedder's provider gives.
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>>;

    /// The same for somebody: an embedder that asks a provider passes `context` on, so that the call is counted and
    /// charged as theirs.
    ///
    /// # Errors
    /// As for [`embed`](Self::embed).
    async fn embed_for(&self, texts: Vec<String>, context: &CallContext) -> Result<Vec<Vec<f32>>> {
        let _ = context;
        self.embed(texts).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: Embedder + ?Sized> Embedder for Arc<T> {
    fn model(&self) -> &str {
        (**self).model()
    }
    fn dimensions(&self) -> u32 {
        (**self).dimensions()
    }
    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        (**self).embed(texts).await
    }
    async fn embed_for(&self, texts: Vec<String>, context: &CallContext) -> Result<Vec<Vec<f32>>> {
        (**self).embed_for(texts, context).await
    }
}

/// An [`Embedder`] over the embeddings of any [`LlmProvider`].
#[derive(Debug)]
pub struct ProviderEmbedder<P> {
    provider: P,
    model: String,
    dimensions: u32,
}

impl<P: LlmProvider> ProviderEmbedder<P> {
    /// Embeds with `model`, whose vectors have `dimensions` numbers.
    pub fn new(provider: P, model: impl Into<String>, dimensions: u32) -> Self {
        Self { provider, model: model.into(), dimensions }
    }
}

#[async_trait]
impl<P: LlmProvider> Embedder for ProviderEmbedder<P> {
    fn model(&self) -> &str {
        &self.model
    }

    fn dimensions(&self) -> u32 {
        self.dimensions
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        self.embed_for(texts, &CallContext::new()).await
    }

    async fn embed_for(&self, texts: Vec<String>, context: &CallContext) -> Result<Vec<Vec<f32>>> {
        let asked = texts.len();
        let request =
            EmbeddingRequest::new(texts).with_model(self.model.clone()).with_context(context.clone());
        let vectors = self.provider.embed(request).await?.vectors;
        if vectors.len() != asked || vectors.iter().any(|vector| vector.len() != self.dimensions as usize) {
            return Err(Error::new(ErrorKind::Corrupt, "embed texts")
                .with_context("model", &self.model)
                .with_context("texts", asked)
                .with_context("vectors", vectors.len())
                .with_context("dimensions", self.dimensions));
        }
        Ok(vectors)
    }
}
