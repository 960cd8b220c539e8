use serde::{Deserialize, Serialize};

use super::{CallContext, Usage};

/// Asks for vectors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EmbeddingRequest {
    /// The model; the provider's default where empty.
    pub model: String,
    /// The texts.
    pub texts: Vec<String>,
    /// For whom it is asked.
    #[serde(skip)]
    pub context: CallContext,
}

impl EmbeddingRequest {
    /// Texts for the provider's default model.
    pub fn new(texts: Vec<String>) -> Self {
        Self { model: String::new(), texts, context: CallContext::default() }
    }

    /// Sets the model.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// Sets for whom it is asked.
    #[must_use]
    pub fn with_context(mut self, context: CallContext) -> Self {
        self.context = context;
        self
    }
}

/// Vectors in the order of their texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Embeddings {
    /// One vector a text, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// What they cost in tokens.
    pub usage: Usage,
    /// The model that made them; vectors of different models are not comparable.
    pub model: String,
}

impl Embeddings {
    /// Vectors of `model`.
    pub fn new(vectors: Vec<Vec<f32>>, usage: Usage, model: impl Into<String>) -> Self {
        Self { vectors, usage, model: model.into() }
    }
}
