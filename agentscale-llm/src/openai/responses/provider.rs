use agentscale_core::Result;
use agentscale_core::llm::{
    Completion, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings, LlmCapabilities,
    LlmProvider, ModelInfo,
};
use agentscale_core::secrets::NamedSecret;
use async_trait::async_trait;
use reqwest::Response;

use super::{read, request};
use crate::decode::{Dialect, StreamDecoder};
use crate::http::read_stream;
use crate::openai::OpenAiConfig;
use crate::openai::connection::Connection;

/// Calls OpenAI's responses, the newer of its two APIs.
///
/// Nothing is stored at the server. What a model thought comes encrypted and goes back with the conversation, so that
/// it thinks on from there behind the result of a tool. Documents, model names, retries and embeddings are as with
/// [`OpenAiProvider`](crate::openai::OpenAiProvider), and so are the errors; texts that end the answer are
/// `unsupported`, and a seed is passed over.
///
/// ```no_run
/// use agentscale_core::LlmProviderExt;
/// use agentscale_llm::openai::{OpenAiConfig, OpenAiResponsesProvider};
///
/// # async fn example() -> agentscale_core::Result<()> {
/// let config = OpenAiConfig::from_env()?.with_model("gpt-5.6-mini");
/// let answer = OpenAiResponsesProvider::new(&config)?.ask("How long does a lease last?").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OpenAiResponsesProvider {
    connection: Connection,
}

impl OpenAiResponsesProvider {
    /// A provider with a pool of connections of its own; clones share it.
    ///
    /// # Errors
    /// As for [`OpenAiProvider::new`](crate::openai::OpenAiProvider::new).
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
        let body = request::response(request, model, self.connection.fields, stream)?;
        self.connection.client.post("/responses", &body).await
    }
}

#[async_trait]
impl LlmProvider for OpenAiResponsesProvider {
    fn capabilities(&self) -> LlmCapabilities {
        let capabilities = LlmCapabilities::new().with_tools().with_structured_output().with_json_object();
        capabilities.with_embeddings().with_images()
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let model = self.connection.model(&request.model)?;
        let response = self.post(&request, model, false).await?;
        let limits = self.connection.client.rate_limits(&response);
        let body = self.connection.client.body(response).await?;
        Ok(read::completion(&body, model)?.0.with_rate_limits(limits))
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let model = self.connection.model(&request.model)?;
        let response = self.post(&request, model, true).await?;
        let decoder = StreamDecoder::new(Dialect::OpenAiResponses).with_model(model);
        read_stream(&self.connection.client, response, decoder, |body| read::completion(body, model)).await
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        self.connection.embed(&request).await
    }
}
