use serde::{Deserialize, Serialize};

use super::{CompletionRequest, Content, ResponseFormat, ToolChoice};
use crate::{Error, ErrorKind, Result};

/// What an [`LlmProvider`](super::LlmProvider) can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LlmCapabilities {
    /// Takes tools and gives tool calls.
    pub tools: bool,
    /// Answers in a JSON schema.
    pub structured_output: bool,
    /// Answers in a JSON object without a schema.
    pub json_object: bool,
    /// Embeds texts.
    pub embeddings: bool,
    /// Takes images.
    pub images: bool,
    /// Goes on where a conversation ends with words of the assistant: the answer holds what comes behind them. The words
    /// do not end in white space.
    pub continuation: bool,
}

impl LlmCapabilities {
    /// Plain completions and streams.
    pub fn new() -> Self {
        Self::default()
    }

    /// With tools.
    #[must_use]
    pub fn with_tools(mut self) -> Self {
        self.tools = true;
        self
    }

    /// With answers in a JSON schema.
    #[must_use]
    pub fn with_structured_output(mut self) -> Self {
        self.structured_output = true;
        self
    }

    /// With answers in a JSON object without a schema.
    #[must_use]
    pub fn with_json_object(mut self) -> Self {
        self.json_object = true;
        self
    }

    /// With embeddings.
    #[must_use]
    pub fn with_embeddings(mut self) -> Self {
        self.embeddings = true;
        self
    }

    /// With images.
    #[must_use]
    pub fn with_images(mut self) -> Self {
        self.images = true;
        self
    }

    /// With answers that go on from words of the assistant.
    #[must_use]
    pub fn with_continuation(mut self) -> Self {
        self.continuation = true;
        self
    }
}

impl LlmCapabilities {
    /// What one or the other can do.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            tools: self.tools || other.tools,
            structured_output: self.structured_output || other.structured_output,
            json_object: self.json_object || other.json_object,
            embeddings: self.embeddings || other.embeddings,
            images: self.images || other.images,
            continuation: self.continuation || other.continuation,
        }
    }

    /// What both can do.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            tools: self.tools && other.tools,
            structured_output: self.structured_output && other.structured_output,
            json_object: self.json_object && other.json_object,
            embeddings: self.embeddings && other.embeddings,
            images: self.images && other.images,
            continuation: self.continuation && other.continuation,
        }
    }

    /// Whether a request can be answered: what a provider does first of all.
    ///
    /// Tools that the model may but need not call are no demand.
    ///
    /// # Errors
    /// `invalid_input` for a request without messages; `unsupported` for one that demands more than this.
    pub fn check(&self, request: &CompletionRequest) -> Result<()> {
        if request.messages.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "complete").with_context("reason", "no messages"));
        }
        let demands_tool = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_));
        let lacking = match &request.response_format {
            _ if demands_tool && !self.tools => "tools",
            ResponseFormat::JsonSchema { .. } if !self.structured_output => "structured output",
            ResponseFormat::JsonObject if !self.json_object => "a json object",
            _ if !self.images && has_image(request) => "images",
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Unsupported, "complete").with_context("demanded", lacking))
    }
}

fn has_image(request: &CompletionRequest) -> bool {
    let mut parts = request.messages.iter().flat_map(|message| &message.content);
    parts.any(|part| matches!(part, Content::Image(_)))
}

/// A model and its limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The name in requests.
    pub name: String,
    /// Tokens of input and output together; `None` where unknown.
    pub context_window: Option<u32>,
    /// Output tokens of one answer; `None` where unknown.
    pub max_output_tokens: Option<u32>,
    /// The length of its vectors, for embedding models.
    pub dimensions: Option<u32>,
}

impl ModelInfo {
    /// A model of unknown limits.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), context_window: None, max_output_tokens: None, dimensions: None }
    }

    /// Sets the window in tokens.
    #[must_use]
    pub fn with_context_window(mut self, tokens: u32) -> Self {
        self.context_window = Some(tokens);
        self
    }

    /// Sets the longest answer in tokens.
    #[must_use]
    pub fn with_max_output_tokens(mut self, tokens: u32) -> Self {
        self.max_output_tokens = Some(tokens);
        self
    }

    /// Sets the length of its vectors.
    #[must_use]
    pub fn with_dimensions(mut self, dimensions: u32) -> Self {
        self.dimensions = Some(dimensions);
        self
    }
}
