use serde::{Deserialize, Serialize};

use crate::Json;

/// What a model thought before it spoke. It belongs into the next request of a conversation with tools, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reasoning {
    /// The thoughts, or the provider's summary of them; empty where it keeps them to itself.
    #[serde(default)]
    pub text: String,
    /// What the provider wants back unread: a signature, an encrypted item. Only the API that gave it understands it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opaque: Option<Opaque>,
}

/// Something of a provider's that goes back to it as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Opaque {
    /// The API that gave it, as `anthropic`. Others leave it out of their requests.
    pub api: String,
    /// The thing itself.
    pub content: Json,
}

impl Reasoning {
    /// Thoughts in words.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), opaque: None }
    }

    /// Keeps what the API `api` wants back.
    #[must_use]
    pub fn with_opaque(mut self, api: impl Into<String>, content: Json) -> Self {
        self.opaque = Some(Opaque { api: api.into(), content });
        self
    }

    /// What `api` gave with it.
    pub fn opaque_of(&self, api: &str) -> Option<&Json> {
        self.opaque.as_ref().filter(|opaque| opaque.api == api).map(|opaque| &opaque.content)
    }
}

/// How long a model that can think shall think. Models that cannot pass over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReasoningEffort {
    /// Not at all, or as little as the model can.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// As long as it takes.
    High,
}
