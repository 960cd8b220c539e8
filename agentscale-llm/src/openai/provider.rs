use agentscale_core::llm::{
    Completion, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings, LlmCapabilities,
    LlmProvider, ModelInfo,
};
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use reqwest::Response;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use secrecy::ExposeSecret;

use super::config::Fields;
use super::error::{self, OPERATION};
use super::{OpenAiConfig, chat, embeddings};
use crate::decode::{Dialect, StreamDecoder};
use crate::headers::openai_rate_limits;
use crate::http::{Api, Client, header_value, read_stream};

/// Calls a server that speaks OpenAI's chat completions.
///
/// A document of the conversation is sent as text below its citation in brackets. Any model name is passed on. Nothing
/// is retried here: that is the retry layer's work, and the errors carry what it needs, `retry_after` and whether the
/// server wants the request again.
///
/// # Errors
/// By the server's own code where it gave one, else by its status: `unauthenticated`, `permission_denied`,
/// `not_found`, `rate_limited`, `quota_exceeded` (never retried), `overloaded`, `context_too_long`, `content_refused` (a
/// refusal of the model too), `too_large`, `invalid_input`, `conflict`, `unavailable`. `corrupt` for a body that is not
/// of this API; `deadline_exceeded` beyond [`ConnectionConfig::timeout_ms`](crate::ConnectionConfig::timeout_ms); `invalid_input` where neither the request nor
/// the configuration names a model.
///
/// ```no_run
/// use agentscale_core::LlmProviderExt;
/// use agentscale_llm::openai::{OpenAiConfig, OpenAiProvider};
///
/// # async fn example() -> agentscale_core::Result<()> {
/// let local = OpenAiConfig::new().with_base_url("http://localhost:11434/v1").with_model("qwen3");
/// let answer = OpenAiProvider::new(&local)?.ask("How long does a lease last?").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OpenAiProvider {
    client: Client,
    model: Option<String>,
    embedding_model: Option<String>,
    fields: Fields,
}

impl OpenAiProvider {
    /// A provider with a pool of connections of its own; clones share it.
    ///
    /// # Errors
    /// `invalid_input` for an address or a key that cannot stand in a request; `unavailable` where the platform has no
    /// root certificates and the address is `https`.
    pub fn new(config: &OpenAiConfig) -> Result<Self> {
        Ok(Self {
            client: Client::new(&API, &config.base_url, headers(config)?, &config.connection)?,
            model: config.model.clone(),
            embedding_model: config.embedding_model.clone(),
            fields: config.fields(),
        })
    }

    async fn post(&self, request: &CompletionRequest, model: &str, stream: bool) -> Result<Response> {
        self.capabilities().check(request)?;
        self.client.post("/chat/completions", &chat::request::chat(request, model, self.fields, stream)).await
    }
}

#[async_trait]
impl LlmProvider for OpenAiProvider {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities::new().with_tools().with_structured_output().with_embeddings().with_images()
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let model = model(&request.model, self.model.as_deref())?;
        let response = self.post(&request, model, false).await?;
        let limits = self.client.rate_limits(&response);
        let body = self.client.body(response).await?;
        Ok(chat::completion(&body, model)?.0.with_rate_limits(limits))
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let model = model(&request.model, self.model.as_deref())?;
        let response = self.post(&request, model, true).await?;
        let decoder = StreamDecoder::new(Dialect::OpenAiChat).with_model(model);
        read_stream(&self.client, response, decoder, |body| chat::completion(body, model)).await
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        let model = model(&request.model, self.embedding_model.as_deref())?;
        if request.texts.is_empty() {
            return Ok(Embeddings::new(Vec::new(), agentscale_core::llm::Usage::default(), model));
        }
        let body = embeddings::EmbeddingsRequest { model, input: &request.texts, encoding_format: "float" };
        let response = self.client.post("/embeddings", &body).await?;
        embeddings::read(&self.client.body(response).await?, request.texts.len(), model)
    }
}

fn model<'a>(asked: &'a str, default: Option<&'a str>) -> Result<&'a str> {
    let named = Some(asked).filter(|model| !model.is_empty()).or(default);
    named.ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "call openai").with_context("reason", "no model is named")
    })
}

static API: Api = Api {
    operation: OPERATION,
    error: error::from_body,
    rate_limits: |headers, _| openai_rate_limits(|name| headers.get(name)?.to_str().ok()),
    request_id: "x-request-id",
};

fn headers(config: &OpenAiConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(key) = &config.api_key {
        let mut value = header_value(&API, "api_key", &format!("Bearer {}", key.expose_secret()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    for (name, field, value) in [
        ("openai-organization", "organization", &config.organization),
        ("openai-project", "project", &config.project),
    ] {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), header_value(&API, field, value)?);
        }
    }
    Ok(headers)
}
