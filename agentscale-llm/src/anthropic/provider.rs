use std::sync::Arc;

use agentscale_core::llm::{
    Completion, CompletionRequest, CompletionStream, LlmCapabilities, LlmProvider, ModelInfo,
};
use agentscale_core::secrets::NamedSecret;
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderName};

use super::error::{self, OPERATION};
use super::{AnthropicConfig, MessageReader, family, read, request};
use crate::decode::{Dialect, StreamDecoder};
use crate::headers::anthropic_rate_limits;
use crate::http::{Api, Client, header_value, model_of, read_stream};

/// Calls a server that speaks Anthropic's messages.
///
/// The host's messages become the system prompt; a document is sent as text below its citation in brackets. Thoughts go
/// back with their signatures, those of other providers are left out. A breakpoint of a message is one of the prompt
/// cache; of more than four the last four count. Any model name is passed on.
///
/// Some requests are sent as the model takes them, see [`ThinkingForm`](super::ThinkingForm) and
/// [`SchemaForm`](super::SchemaForm): a budget to think with is left out where a tool is demanded, where
/// `max_tokens` has no room for 1,024 tokens of it, and behind a tool call whose thoughts are not there; temperature and
/// `top_p` are left out where the model refuses them, and a temperature above 1 is 1. There is no seed. Models before 4.6
/// go on from words of the assistant at the end of the messages, later ones refuse them.
///
/// Of an answer the tools of the server and their results are passed over, as no request asks for them; a turn that
/// the server paused ends as one that reached its longest length. Usage counts the tokens of the prompt cache into the
/// input tokens. Nothing is retried here.
///
/// # Errors
/// By the type that the body gave, else by its status: `invalid_input`, `context_too_long`, `unauthenticated`,
/// `permission_denied`, `quota_exceeded` (never retried), `not_found`, `too_large`, `rate_limited` with its
/// [`RateLimits`](agentscale_core::llm::RateLimits), `overloaded`, `unavailable`, `unsupported` for what the model
/// does not take, `content_refused` also for a model that refused to answer. `corrupt` for a body that is not of this
/// API;
/// `deadline_exceeded` beyond [`ConnectionConfig::timeout_ms`](crate::ConnectionConfig::timeout_ms).
///
/// ```no_run
/// use agentscale_core::LlmProviderExt;
/// use agentscale_llm::anthropic::{AnthropicConfig, AnthropicProvider};
///
/// # async fn example() -> agentscale_core::Result<()> {
/// let config = AnthropicConfig::from_env()?.with_model("claude-sonnet-5");
/// let answer = AnthropicProvider::new(&config)?.ask("How long does a lease last?").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AnthropicProvider {
    client: Client,
    config: Arc<AnthropicConfig>,
}

impl AnthropicProvider {
    /// A provider with a pool of connections of its own; clones share it.
    ///
    /// # Errors
    /// `invalid_input` for an address, a key or a name that cannot stand in a request, or no `max_tokens`; `unavailable`
    /// where the platform has no root certificates and the address is `https`.
    pub fn new(config: &AnthropicConfig) -> Result<Self> {
        if config.max_tokens == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, OPERATION).with_context("field", "max_tokens"));
        }
        let client = Client::new(
            &API,
            &config.base_url,
            headers(config)?,
            config.api_key.as_ref(),
            &config.connection,
        )?;
        Ok(Self { client, config: Arc::new(config.clone()) })
    }

    /// Reads `key` with each request, in the place of [`AnthropicConfig::api_key`], so that a key that is exchanged in its source is
    /// exchanged for the next request. A request whose key the server does not know is sent once more where the source
    /// has another by then; where no key can be read it is `unauthenticated`.
    #[must_use]
    pub fn with_key_from(mut self, key: NamedSecret) -> Self {
        self.client = self.client.with_key(key);
        self
    }

    async fn post(&self, request: &CompletionRequest, model: &str, stream: bool) -> Result<Response> {
        self.capabilities().check(request)?;
        self.client.post("/messages", &request::messages(request, model, &self.config, stream)).await
    }

    fn model<'a>(&'a self, asked: &'a str) -> Result<&'a str> {
        model_of(&API, asked, self.config.model.as_deref())
    }

    fn reader(&self, request: &CompletionRequest, model: &str) -> MessageReader {
        let tool = request::answer_tool(request, self.config.schema_of(model));
        MessageReader::default().with_answer_tool(tool.map(|tool| tool.name))
    }
}

#[async_trait]
impl LlmProvider for AnthropicProvider {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities::new().with_tools().with_structured_output().with_images().with_continuation()
    }

    /// Models from 4.6 on refuse to go on from words of the assistant.
    fn capabilities_of(&self, model: &str) -> LlmCapabilities {
        let mut capabilities = self.capabilities();
        capabilities.continuation = self.model(model).is_ok_and(family::continues);
        capabilities
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let model = self.model(&request.model)?;
        let response = self.post(&request, model, false).await?;
        let limits = self.client.rate_limits(&response);
        let body = self.client.body(response).await?;
        let (answer, _) = read::completion(&body, self.reader(&request, model), model)?;
        Ok(answer.with_rate_limits(limits))
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let model = self.model(&request.model)?;
        let response = self.post(&request, model, true).await?;
        let reader = || self.reader(&request, model);
        let decoder = StreamDecoder::new(Dialect::Anthropic).with_model(model).with_reader(reader());
        read_stream(&self.client, response, decoder, |body| read::completion(body, reader(), model)).await
    }
}

static API: Api = Api {
    operation: OPERATION,
    error: |status, body, _| error::from_body(Some(status), body),
    rate_limits: |headers, now| {
        anthropic_rate_limits(|name| headers.get(name).and_then(|value| value.to_str().ok()), now)
    },
    request_id: "request-id",
    key: (HeaderName::from_static("x-api-key"), ""),
};

fn headers(config: &AnthropicConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let version = header_value(&API, "version", &config.version)?;
    headers.insert(HeaderName::from_static("anthropic-version"), version);
    if !config.beta.is_empty() {
        let names = header_value(&API, "beta", &config.beta.join(","))?;
        headers.insert(HeaderName::from_static("anthropic-beta"), names);
    }
    Ok(headers)
}
