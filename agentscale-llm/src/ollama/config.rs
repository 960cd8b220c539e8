use std::fmt;

use agentscale_core::secrets::Secret;
use serde::Deserialize;

use crate::ConnectionConfig;
use crate::http::shown_url;

/// How an [`OllamaProvider`](super::OllamaProvider) reaches its server.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OllamaConfig {
    /// The address above `/api`; `http://localhost:11434`.
    pub base_url: String,
    /// The key, for a server behind a proxy or in the cloud; none.
    pub api_key: Option<Secret>,
    /// The model of requests that name none; none.
    pub model: Option<String>,
    /// The model of embedding requests that name none; none.
    pub embedding_model: Option<String>,
    /// The context window to load a model with, in tokens; the server's own.
    pub context_window: Option<u32>,
    /// How long a model stays loaded behind a request, as `10m`; the server's own.
    pub keep_alive: Option<String>,
    /// How connections are held.
    pub connection: ConnectionConfig,
}

impl Default for OllamaConfig {
    fn default() -> Self {
        Self {
            base_url: "http://localhost:11434".to_owned(),
            api_key: None,
            model: None,
            embedding_model: None,
            context_window: None,
            keep_alive: None,
            connection: ConnectionConfig::default(),
        }
    }
}

impl OllamaConfig {
    /// The server on this machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address above `/api`.
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

impl fmt::Debug for OllamaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OllamaConfig")
            .field("base_url", &shown_url(&self.base_url))
            .field("api_key", &self.api_key)
            .field("model", &self.model)
            .field("embedding_model", &self.embedding_model)
            .field("context_window", &self.context_window)
            .field("keep_alive", &self.keep_alive)
            .field("connection", &self.connection)
            .finish()
    }
}
