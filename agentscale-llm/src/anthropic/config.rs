use std::fmt;

use agentscale_core::secrets::Secret;
use agentscale_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::family;
use crate::ConnectionConfig;
use crate::http::shown_url;

/// How an [`AnthropicProvider`](super::AnthropicProvider) reaches its server.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AnthropicConfig {
    /// The address above `/messages`; `https://api.anthropic.com/v1`.
    pub base_url: String,
    /// The key; none, as some servers of the same API take none.
    pub api_key: Option<Secret>,
    /// The model of requests that name none; none.
    pub model: Option<String>,
    /// The version of the API; `2023-06-01`.
    pub version: String,
    /// The names of features that are not general yet; none.
    pub beta: Vec<String>,
    /// The longest answer of requests that name none, in tokens, as the API demands one; 8,192.
    pub max_tokens: u32,
    /// How a model is asked to think; `auto`.
    pub thinking: ThinkingForm,
    /// How a model is asked for JSON; `auto`.
    pub schema: SchemaForm,
    /// How connections are held.
    pub connection: ConnectionConfig,
}

/// How a model is asked to think for a [`ReasoningEffort`](agentscale_core::llm::ReasoningEffort).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ThinkingForm {
    /// As the name of the model tells.
    #[default]
    Auto,
    /// Not at all.
    Never,
    /// With a budget of tokens: a quarter, a half or four fifths of the longest answer for low, medium and high effort.
    Budget,
    /// As the model sees fit, with an effort. Temperature and `top_p` are left out, as these models refuse them.
    Adaptive,
}

/// How a model is asked for an answer in a JSON schema.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SchemaForm {
    /// As the name of the model tells.
    #[default]
    Auto,
    /// By `output_config.format`.
    Native,
    /// By a tool that it must call, whose input is the answer.
    Tool,
}

const ANTHROPIC_URL: &str = "https://api.anthropic.com/v1";

impl Default for AnthropicConfig {
    fn default() -> Self {
        Self {
            base_url: ANTHROPIC_URL.to_owned(),
            api_key: None,
            model: None,
            version: "2023-06-01".to_owned(),
            beta: Vec::new(),
            max_tokens: 8_192,
            thinking: ThinkingForm::default(),
            schema: SchemaForm::default(),
            connection: ConnectionConfig::default(),
        }
    }
}

impl AnthropicConfig {
    /// Anthropic itself, or another server of the same API with [`with_base_url`](Self::with_base_url).
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of `ANTHROPIC_API_KEY`.
    ///
    /// # Errors
    /// `unauthenticated` where it is not set.
    pub fn from_env() -> Result<Self> {
        match std::env::var("ANTHROPIC_API_KEY") {
            Ok(key) if !key.is_empty() => Ok(Self::new().with_api_key(key)),
            _ => Err(Error::new(ErrorKind::Unauthenticated, "read ANTHROPIC_API_KEY")
                .with_context("reason", "not set")),
        }
    }

    /// Sets the address above `/messages`.
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

    /// Sets the longest answer of requests that name none, in tokens.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = tokens;
        self
    }

    /// Asks for features that are not general yet, as `context-1m-2025-08-07`.
    #[must_use]
    pub fn with_beta(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.beta = names.into_iter().map(Into::into).collect();
        self
    }

    pub(super) fn thinking_of(&self, model: &str) -> ThinkingForm {
        match self.thinking {
            ThinkingForm::Auto => family::thinking(model),
            chosen => chosen,
        }
    }

    pub(super) fn schema_of(&self, model: &str) -> SchemaForm {
        match self.schema {
            SchemaForm::Auto => family::schema(model),
            chosen => chosen,
        }
    }
}

impl fmt::Debug for AnthropicConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnthropicConfig")
            .field("base_url", &shown_url(&self.base_url))
            .field("api_key", &self.api_key)
            .field("model", &self.model)
            .field("version", &self.version)
            .field("beta", &self.beta)
            .field("max_tokens", &self.max_tokens)
            .field("thinking", &self.thinking)
            .field("schema", &self.schema)
            .field("connection", &self.connection)
            .finish()
    }
}
