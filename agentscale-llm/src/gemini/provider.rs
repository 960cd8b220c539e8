use std::borrow::Cow;
use std::time::Duration;

use agentscale_core::llm::{
    Completion, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings, LlmCapabilities,
    LlmProvider, ModelInfo, RateLimits, Usage,
};
use agentscale_core::secrets::NamedSecret;
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderName};

use super::error::{self, OPERATION};
use super::{CachedContent, GeminiConfig, cached_content, embeddings, read, request};
use crate::decode::{Dialect, StreamDecoder};
use crate::http::{Api, Client, model_of, read_stream};

/// Calls a server that speaks Gemini's generateContent.
///
/// The host's messages become the system instruction; a document is sent as text below its citation in brackets. What
/// the API signed goes back to it with the call or the thought that it came with; calls that another model made are
/// marked so that newer models take them. Calls that come without an id get one that is new in the conversation. Any
/// model name is passed on, with `models/` before it where it names no collection of its own.
///
/// A reasoning effort is a budget of tokens or a level as the name of the model tells, and left out for models that do
/// not think. Where a tool is demanded the schema is left out, as the API takes one of them. Beside contents that are
/// [stored](agentscale_core::llm::PromptCache::stored) at the provider the system instruction and the tools are those
/// that were stored with them. Breakpoints of the prompt cache are passed over: the API caches unasked. Nothing is
/// retried here.
///
/// # Errors
/// By the name that the body gave, else by its status: `invalid_input`, `context_too_long`, `unauthenticated` (an
/// invalid key too, which comes with status 400), `permission_denied`, `not_found`, `rate_limited` with the
/// [`RateLimits`] that were hit (a daily one stays closed until midnight in California), `quota_exceeded` for a limit
/// of nothing, `overloaded`, `unavailable`, `unsupported`, `content_refused` for a blocked prompt or an answer of
/// which nothing came. `corrupt` for a body that is not of this API, and for a call that the model spoilt, which may
/// be tried again;
/// `deadline_exceeded` beyond [`ConnectionConfig::timeout_ms`](crate::ConnectionConfig::timeout_ms).
///
/// ```no_run
/// use agentscale_core::LlmProviderExt;
/// use agentscale_llm::gemini::{GeminiConfig, GeminiProvider};
///
/// # async fn example() -> agentscale_core::Result<()> {
/// let config = GeminiConfig::from_env()?.with_model("gemini-2.5-flash");
/// let answer = GeminiProvider::new(&config)?.ask("How long does a lease last?").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GeminiProvider {
    client: Client,
    model: Option<String>,
    embedding_model: Option<String>,
}

impl GeminiProvider {
    /// A provider with a pool of connections of its own; clones share it.
    ///
    /// # Errors
    /// `invalid_input` for an address or a key that cannot stand in a request; `unavailable` where the platform has no
    /// root certificates and the address is `https`.
    pub fn new(config: &GeminiConfig) -> Result<Self> {
        Ok(Self {
            client: Client::new(
                &API,
                &config.base_url,
                HeaderMap::new(),
                config.api_key.as_ref(),
                &config.connection,
            )?,
            model: config.model.clone(),
            embedding_model: config.embedding_model.clone(),
        })
    }

    /// Reads `key` with each request, in the place of [`GeminiConfig::api_key`], so that a key that is exchanged in its source is
    /// exchanged for the next request. A request whose key the server does not know is sent once more where the source
    /// has another by then; where no key can be read it is `unauthenticated`.
    #[must_use]
    pub fn with_key_from(mut self, key: NamedSecret) -> Self {
        self.client = self.client.with_key(key);
        self
    }

    /// Stores the messages, the tools and their choice at the provider for `ttl`. The name of what is stored stands
    /// for them in later requests to the same model, see
    /// [`PromptCache::with_stored`](agentscale_core::llm::PromptCache::with_stored).
    ///
    /// # Errors
    /// As for [`complete`](LlmProvider::complete); `invalid_input` also for contents of fewer tokens than the model
    /// stores.
    pub async fn create_cached_content(
        &self,
        request: &CompletionRequest,
        ttl: Duration,
    ) -> Result<CachedContent> {
        let name = model_path(model_of(&API, &request.model, self.model.as_deref())?)?;
        let response =
            self.client.post("/cachedContents", &cached_content::create(request, &name, ttl)?).await?;
        cached_content::read(&self.client.body(response).await?)
    }

    /// What is stored under `name`.
    ///
    /// # Errors
    /// As for [`complete`](LlmProvider::complete); `not_found` or `permission_denied` for what is not there or gone.
    pub async fn cached_content(&self, name: &str) -> Result<CachedContent> {
        let response = self.client.get(&cached_content::path(name)?).await?;
        cached_content::read(&self.client.body(response).await?)
    }

    /// Deletes what is stored under `name`.
    ///
    /// # Errors
    /// As for [`cached_content`](Self::cached_content).
    pub async fn delete_cached_content(&self, name: &str) -> Result<()> {
        self.client.delete(&cached_content::path(name)?).await
    }

    async fn post(&self, request: &CompletionRequest, model: &str, call: &str) -> Result<Response> {
        self.capabilities().check(request)?;
        let path = format!("/{}:{call}", model_path(model)?);
        self.client.post(&path, &request::generate(request, model)?).await
    }
}

#[async_trait]
impl LlmProvider for GeminiProvider {
    fn capabilities(&self) -> LlmCapabilities {
        let capabilities = LlmCapabilities::new().with_tools().with_structured_output().with_json_object();
        capabilities.with_embeddings().with_images()
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let model = model_of(&API, &request.model, self.model.as_deref())?;
        let response = self.post(&request, model, "generateContent").await?;
        Ok(read::completion(&self.client.body(response).await?, model, &request.messages)?.0)
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let model = model_of(&API, &request.model, self.model.as_deref())?;
        let response = self.post(&request, model, "streamGenerateContent?alt=sse").await?;
        let messages = &request.messages;
        let decoder = StreamDecoder::new(Dialect::Gemini).with_model(model).answering(messages);
        read_stream(&self.client, response, decoder, |body| read::completion(body, model, messages)).await
    }

    /// In batches of a hundred texts, one after the other.
    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        let model = model_of(&API, &request.model, self.embedding_model.as_deref())?;
        let name = model_path(model)?;
        let (mut vectors, mut tokens) = (Vec::with_capacity(request.texts.len()), 0);
        for texts in request.texts.chunks(embeddings::MAX_BATCH) {
            let path = format!("/{name}:batchEmbedContents");
            let response = self.client.post(&path, &embeddings::batch(&name, texts)).await?;
            let (batch, cost) = embeddings::read(&self.client.body(response).await?, texts.len())?;
            vectors.extend(batch);
            tokens += cost;
        }
        embeddings::check(&vectors)?;
        Ok(Embeddings::new(vectors, Usage::new(tokens, 0), model))
    }
}

static API: Api = Api {
    operation: OPERATION,
    error: error::from_body,
    rate_limits: |_, _| RateLimits::default(),
    request_id: "x-goog-request-id",
    key: (HeaderName::from_static("x-goog-api-key"), ""),
};

/// `models/gemini-2.5-flash`. A name that would lead to another call is none.
fn model_path(model: &str) -> Result<Cow<'_, str>> {
    let allowed =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/' | '@');
    if !model.chars().all(allowed) || model.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Error::new(ErrorKind::NotFound, OPERATION).with_context("reason", "no name of a model"));
    }
    Ok(if model.contains('/') { Cow::Borrowed(model) } else { Cow::Owned(format!("models/{model}")) })
}
