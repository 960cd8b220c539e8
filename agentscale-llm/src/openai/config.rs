use std::fmt;

use agentscale_core::secrets::Secret;
use agentscale_core::{Error, ErrorKind, Result};
use serde::Deserialize;

use crate::ConnectionConfig;
use crate::http::shown_url;

/// How an [`OpenAiProvider`](super::OpenAiProvider) reaches its server.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OpenAiConfig {
    /// The address above `/chat/completions`; `https://api.openai.com/v1`.
    pub base_url: String,
    /// The key; none, as local servers take none.
    pub api_key: Option<Secret>,
    /// The model of requests that name none; none.
    pub model: Option<String>,
    /// The model of embedding requests that name none; none.
    pub embedding_model: Option<String>,
    /// The organization that is billed; the key's own.
    pub organization: Option<String>,
    /// The project that is billed; the key's own.
    pub project: Option<String>,
    /// How the longest answer is asked for; `auto`.
    pub token_limit_field: TokenLimitField,
    /// How a long life in the prompt cache is asked for; `options`.
    pub cache_retention_field: CacheRetentionField,
    /// Whether chat completions go on where the messages end with words of the assistant, asked for by
    /// `continue_final_message`, as vLLM and SGLang do; false.
    pub continues: bool,
    /// How connections are held.
    pub connection: ConnectionConfig,
}

/// The field that carries [`max_tokens`](agentscale_core::llm::CompletionRequest::max_tokens).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenLimitField {
    /// `max_completion_tokens` at OpenAI's own address, `max_tokens` anywhere else.
    #[default]
    Auto,
    /// `max_tokens`, which compatible servers know and OpenAI's reasoning models refuse.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// The field that carries [`CacheRetention::Long`](agentscale_core::llm::CacheRetention::Long).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CacheRetentionField {
    /// `prompt_cache_options.ttl`, at least 30 minutes: `gpt-5.6` and later.
    #[default]
    Options,
    /// `prompt_cache_retention`, at most 24 hours: models before `gpt-5.6`.
    Retention,
}

/// The fields that depend on the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) continues: bool,
    pub(super) token_limit: TokenLimitField,
    pub(super) cache_retention: CacheRetentionField,
}

const OPENAI_URL: &str = "https://api.openai.com/v1";

impl Default for OpenAiConfig {
    fn default() -> Self {
        Self {
            base_url: OPENAI_URL.to_owned(),
            api_key: None,
            model: None,
            embedding_model: None,
            organization: None,
            project: None,
            token_limit_field: TokenLimitField::default(),
            cache_retention_field: CacheRetentionField::default(),
            continues: false,
            connection: ConnectionConfig::default(),
        }
    }
}

impl OpenAiConfig {
    /// OpenAI itself, or the compatible server at another address with [`with_base_url`](Self::with_base_url).
    pub fn new() -> Self {
        Self::default()
    }

    /// The key of `OPENAI_API_KEY`, and the address of `OPENAI_BASE_URL` where it is set.
    ///
    /// # Errors
    /// `unauthenticated` where neither is set.
    pub fn from_env() -> Result<Self> {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let config = match read("OPENAI_BASE_URL") {
            Some(url) => Self::new().with_base_url(url),
            None => Self::new(),
        };
        match read("OPENAI_API_KEY") {
            Some(key) => Ok(config.with_api_key(key)),
            None if config.base_url != OPENAI_URL => Ok(config),
            None => Err(Error::new(ErrorKind::Unauthenticated, "read OPENAI_API_KEY")
                .with_context("reason", "not set")),
        }
    }

    /// Sets the address above `/chat/completions`, such as `http://localhost:11434/v1`.
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

    pub(super) fn fields(&self) -> Fields {
        let token_limit = match self.token_limit_field {
            TokenLimitField::Auto if self.base_url.starts_with("https://api.openai.com") => {
                TokenLimitField::MaxCompletionTokens
            }
            TokenLimitField::Auto => TokenLimitField::MaxTokens,
            chosen => chosen,
        };
        Fields { continues: self.continues, token_limit, cache_retention: self.cache_retention_field }
    }
}

impl fmt::Debug for OpenAiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiConfig")
            .field("base_url", &shown_url(&self.base_url))
            .field("api_key", &self.api_key)
            .field("model", &self.model)
            .field("embedding_model", &self.embedding_model)
            .field("organization", &self.organization)
            .field("project", &self.project)
            .field("token_limit_field", &self.token_limit_field)
            .field("cache_retention_field", &self.cache_retention_field)
            .field("continues", &self.continues)
            .field("connection", &self.connection)
            .finish()
    }
}
