use std::sync::Arc;

use agentscale_core::Result;
use agentscale_core::llm::{
    Completion, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings, LlmCapabilities,
    LlmProvider, ModelInfo, RateLimits, Usage,
};
use agentscale_core::secrets::NamedSecret;
use async_trait::async_trait;
use reqwest::Response;
use reqwest::header::{AUTHORIZATION, HeaderMap};

use super::error::{self, OPERATION};
use super::{LineReader, OllamaConfig, embeddings, read, request};
use crate::decode::{Dialect, StreamDecoder};
use crate::http::{Api, Client, model_of, read_stream};

/// Calls a server that speaks Ollama's own API.
///
/// A document is sent as text below its citation in brackets. Any model name is passed on. A prompt or a text to embed
/// that does not fit the window is an error, where the server by itself would cut it. The API cannot demand a tool:
/// the answer's text is given the form of the tool's arguments instead, and one of several tools cannot be demanded.
/// Words of the assistant at the end of the messages are gone on from.
/// Effort is whether a model thinks, and its degree for `gpt-oss`; a model that cannot think is asked again without.
///
/// # Errors
/// By the words of the server, else by its status: `not_found` for a model that is not there, `overloaded` where more
/// requests wait than it lets wait, `context_too_long`, `unsupported` for what the model cannot do and for images by
/// their address, `unavailable`; behind a proxy also `unauthenticated` and the like. `corrupt` for a body that is not of
/// this API; `deadline_exceeded` beyond [`ConnectionConfig::timeout_ms`](crate::ConnectionConfig::timeout_ms).
///
/// ```no_run
/// use agentscale_core::LlmProviderExt;
/// use agentscale_llm::ollama::{OllamaConfig, OllamaProvider};
///
/// # async fn example() -> agentscale_core::Result<()> {
/// let local = OllamaProvider::new(&OllamaConfig::new().with_model("qwen3"))?;
/// let answer = local.ask("How long does a lease last?").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OllamaProvider {
    client: Client,
    config: Arc<OllamaConfig>,
}

impl OllamaProvider {
    /// A provider with a pool of connections of its own; clones share it.
    ///
    /// # Errors
    /// `invalid_input` for an address or a key that cannot stand in a request; `unavailable` where the platform has no
    /// root certificates and the address is `https`.
    pub fn new(config: &OllamaConfig) -> Result<Self> {
        let client = Client::new(
            &API,
            &config.base_url,
            HeaderMap::new(),
            config.api_key.as_ref(),
            &config.connection,
        )?;
        Ok(Self { client, config: Arc::new(config.clone()) })
    }

    /// Reads `key` with each request, in the place of [`OllamaConfig::api_key`], so that a key that is exchanged in its source is
    /// exchanged for the next request. A request whose key the server does not know is sent once more where the source
    /// has another by then; where no key can be read it is `unauthenticated`.
    #[must_use]
    pub fn with_key_from(mut self, key: NamedSecret) -> Self {
        self.client = self.client.with_key(key);
        self
    }

    async fn post(&self, request: &CompletionRequest, model: &str, stream: bool) -> Result<Response> {
        self.capabilities().check(request)?;
        let mut body = request::chat(request, model, &self.config, stream)?;
        let answer = self.client.post("/api/chat", &body).await;
        match answer {
            Err(error) if body.think.is_some() && error::lacks_thinking(&error) => {
                body.think = None;
                self.client.post("/api/chat", &body).await
            }
            answer => answer,
        }
    }
}

#[async_trait]
impl LlmProvider for OllamaProvider {
    fn capabilities(&self) -> LlmCapabilities {
        let capabilities = LlmCapabilities::new().with_tools().with_structured_output().with_json_object();
        capabilities.with_embeddings().with_images().with_continuation()
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let model = model_of(&API, &request.model, self.config.model.as_deref())?;
        let response = self.post(&request, model, false).await?;
        let body = self.client.body(response).await?;
        Ok(read::completion(&body, reader(&request)?, model, &request.messages)?.0)
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let model = model_of(&API, &request.model, self.config.model.as_deref())?;
        let response = self.post(&request, model, true).await?;
        let (streamed, whole) = (reader(&request)?, reader(&request)?);
        let messages = &request.messages;
        let decoder = StreamDecoder::new(Dialect::Ollama).with_model(model).with_reader(streamed);
        let decoder = decoder.answering(messages);
        read_stream(&self.client, response, decoder, |body| read::completion(body, whole, model, messages))
            .await
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        let model = model_of(&API, &request.model, self.config.embedding_model.as_deref())?;
        if request.texts.is_empty() {
            return Ok(Embeddings::new(Vec::new(), Usage::default(), model));
        }
        let keep_alive = self.config.keep_alive.as_deref();
        let body = embeddings::EmbedRequest { model, input: &request.texts, truncate: false, keep_alive };
        let response = self.client.post("/api/embed", &body).await?;
        embeddings::read(&self.client.body(response).await?, request.texts.len(), model)
    }
}

fn reader(request: &CompletionRequest) -> Result<LineReader> {
    let demanded = request::demanded_tool(request)?;
    Ok(LineReader::default().with_demanded_tool(demanded.map(|tool| tool.name.as_str())))
}

static API: Api = Api {
    operation: OPERATION,
    error: |status, body, _| error::from_body(status, body),
    rate_limits: |_, _| RateLimits::default(),
    request_id: "x-request-id",
    key: (AUTHORIZATION, "Bearer "),
};
