use agentscale_core::Result;
use agentscale_core::llm::{
    Completion, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings, LlmCapabilities,
    LlmProvider, ModelInfo,
};
use agentscale_core::secrets::NamedSecret;
use async_trait::async_trait;
use reqwest::Response;

use super::connection::Connection;
use super::{OpenAiConfig, chat};
use crate::decode::{Dialect, StreamDecoder};
use crate::http::read_stream;

/// Calls a server that speaks OpenAI's chat completions.
///
/// A document of the conversation is sent as text below its citation in brackets, an image by its address or inline. Any
/// model name is passed on. Effort is left out for OpenAI's models that do not think, a temperature and `top_p` for those
/// that do, unless they are told not to. What a compatible server tells of
/// its thoughts goes back to it with the calls that followed from them.
///
/// Words of the assistant at the end of the messages are gone on from only with [`OpenAiConfig::continues`].
///
/// The limits that the server names go with answers, streams and refusals as
/// [`RateLimits`](agentscale_core::llm::RateLimits); a day that is used up stays so until its reset. Nothing is retried
/// here: that is the retry layer's work, and the errors carry what it needs, `retry_after` and whether the server wants
/// the request again.
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
    connection: Connection,
}

impl OpenAiProvider {
    /// A provider with a pool of connections of its own; clones share it.
    ///
    /// # Errors
    /// `invalid_input` for an address or a key that cannot stand in a request; `unavailable` where the platform has no
    /// root certificates and the address is `https`.
    pub fn new(config: &OpenAiConfig) -> Result<Self> {
        Ok(Self { connection: Connection::new(config)? })
    }

    /// Reads `key` with each request, in the place of [`OpenAiConfig::api_key`], so that a key that is exchanged in its source is
    /// exchanged for the next request. A request whose key the server does not know is sent once more where the source
    /// has another by then; where no key can be read it is `unauthenticated`.
    #[must_use]
    pub fn with_key_from(mut self, key: NamedSecret) -> Self {
        self.connection.client = self.connection.client.with_key(key);
        self
    }

    async fn post(&self, request: &CompletionRequest, model: &str, stream: bool) -> Result<Response> {
        self.capabilities().check(request)?;
        let body = chat::request::chat(request, model, self.connection.fields, stream);
        self.connection.client.post("/chat/completions", &body).await
    }
}

#[async_trait]
impl LlmProvider for OpenAiProvider {
    fn capabilities(&self) -> LlmCapabilities {
        let capabilities = LlmCapabilities::new().with_tools().with_structured_output().with_json_object();
        let mut capabilities = capabilities.with_embeddings().with_images();
        capabilities.continuation = self.connection.fields.continues;
        capabilities
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let model = self.connection.model(&request.model)?;
        let response = self.post(&request, model, false).await?;
        let limits = self.connection.client.rate_limits(&response);
        let body = self.connection.client.body(response).await?;
        Ok(chat::completion(&body, model, &request.messages)?.0.with_rate_limits(limits))
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let model = self.connection.model(&request.model)?;
        let response = self.post(&request, model, true).await?;
        let messages = &request.messages;
        let decoder = StreamDecoder::new(Dialect::OpenAiChat).with_model(model).answering(messages);
        let whole = |body: &[u8]| chat::completion(body, model, messages);
        read_stream(&self.connection.client, response, decoder, whole).await
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        self.connection.embed(&request).await
    }
}
