use std::fmt;

use agentscale_core::secrets::Secret;
use agentscale_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::ConnectionConfig;
use crate::http::shown_url;

/// How a [`GeminiProvider`](super::GeminiProvider) reaches its server.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GeminiConfig {
    /// The address above `/models`; `https://generativelanguage.googleapis.com/v1beta`.
    pub base_url: String,
    /// The key; none, as some servers of the same API take none.
    pub api_key: Option<Secret>,
    /// The model of requests that name none; none.
    pub model: Option<String>,
    /// The model of embedding requests that name none; none.
    pub embedding_model: Option<String>,
    /// How connections are held.
    pub connection: ConnectionConfig,
}

impl Default for GeminiConfig {
    fn default() -> Self {
        Self {
            base_url: "https://generativelanguage.googleapis.com/v1beta".to_owned(),
            api_key: None,
            model: None,
            embedding_model: None,
            connection: ConnectionConfig::default(),
        }
    }
}

impl GeminiConfig {
    /// The Gemini API itself, or another server of the same API with [`with_base_url`](Self::with_base_url).
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of `GEMINI_API_KEY`.
    ///
    /// # Errors
    /// `unauthenticated` where it is not set.
    pub fn from_env() -> Result<Self> {
        match std::env::var("GEMINI_API_KEY") {
            Ok(key) if !key.is_empty() => Ok(Self::new().with_api_key(key)),
            _ => Err(Error::new(ErrorKind::Unauthenticated, "read GEMINI_API_KEY")
                .with_context("reason", "not set")),
        }
    }

    /// Sets the address above `/models`.
    #[must_use]
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Sets the key.
    #[must_use]
    pub fn with_api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(Secret::new(key));
        self
    }

    /// Sets the model of requests that name none.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Sets the model of embedding requests that name none.
    #[must_use]
    pub fn with_embedding_model(mut self, model: impl Into<String>) -> Self {
        self.embedding_model = Some(model.into());
        self
    }
}

impl fmt::Debug for GeminiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GeminiConfig")
            .field("base_url", &shown_url(&self.base_url))
            .field("api_key", &self.api_key)
            .field("model", &self.model)
            .field("embedding_model", &self.embedding_model)
            .field("connection", &self.connection)
            .finish()
    }
}
