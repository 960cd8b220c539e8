use serde::{Deserialize, Serialize};

use crate::Json;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// The host's instructions.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Content {
    /// Plain text.
    Text {
        /// The text.
        text: String,
    },
    /// A passage that the answer may quote.
    Document {
        /// How an answer cites it, as `file:line`.
        citation: String,
        /// The passage.
        text: String,
    },
    /// A call that the model asks for.
    ToolCall(ToolCall),
    /// What a call gave.
    ToolResult {
        /// The id of the call.
        call_id: String,
        /// The result as text.
        text: String,
        /// Whether the call failed.
        failed: bool,
    },
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Vec<Content>,
}

impl Message {
    /// A message of any role.
    pub fn new(role: Role, content: Vec<Content>) -> Self {
        Self { role, content }
    }

    /// A text of the host.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(Role::System, vec![Content::Text { text: text.into() }])
    }

    /// A text of who asks.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, vec![Content::Text { text: text.into() }])
    }

    /// A text of the model.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, vec![Content::Text { text: text.into() }])
    }

    /// Adds a passage that the answer may quote.
    #[must_use]
    pub fn with_document(mut self, citation: impl Into<String>, text: impl Into<String>) -> Self {
        self.content.push(Content::Document { citation: citation.into(), text: text.into() });
        self
    }

    /// The text parts, one after the other.
    pub fn text(&self) -> String {
        let texts = self.content.iter().filter_map(|part| match part {
            Content::Text { text } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The calls that the model asks for.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.content.iter().filter_map(|part| match part {
            Content::ToolCall(call) => Some(call),
            _ => None,
        })
    }
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON schema of its arguments.
    pub parameters: Json,
}

/// Whether the model may, must or must not call a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// As the model sees fit.
    #[default]
    Auto,
    /// No tool.
    None,
    /// At least one tool.
    Required,
    /// This tool.
    Tool(String),
}

/// A call that the model asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Names the call among those of its conversation.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments; `{}` where the model gave none.
    pub arguments: Json,
}

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Free text.
    #[default]
    Text,
    /// JSON that fits a schema.
    JsonSchema {
        /// The name of the schema.
        name: String,
        /// The schema.
        schema: Json,
    },
}

/// Asks a model to go on with a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CompletionRequest {
    /// The model; the provider's default where empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolSpec>,
    /// Whether it may call them.
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// The form of the answer.
    #[serde(default)]
    pub response_format: ResponseFormat,
    /// The longest answer in tokens; the provider's default where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0 to 2; the provider's default where `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Asks for the same answer to the same request, where the provider can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl CompletionRequest {
    /// A conversation for the provider's default model.
    pub fn new(messages: Vec<Message>) -> Self {
        Self {
            model: String::new(),
            messages,
            tools: Vec::new(),
            tool_choice: ToolChoice::default(),
            response_format: ResponseFormat::default(),
            max_tokens: None,
            temperature: None,
            stop: Vec::new(),
            seed: None,
        }
    }

    /// Sets the model.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// Offers tools.
    #[must_use]
    pub fn with_tools(mut self, tools: Vec<ToolSpec>) -> Self {
        self.tools = tools;
        self
    }

    /// Sets the form of the answer.
    #[must_use]
    pub fn with_response_format(mut self, format: ResponseFormat) -> Self {
        self.response_format = format;
        self
    }

    /// Sets the longest answer in tokens.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// Sets the temperature, 0 to 2.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done, or met a stop text.
    Stop,
    /// The answer reached its longest length.
    Length,
    /// The model asks for tool calls.
    ToolCalls,
    /// The provider cut the answer for its content.
    ContentFilter,
}

/// Tokens of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input_tokens: u64,
    /// Input tokens that were read from the provider's prompt cache.
    pub cached_input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
}

impl Usage {
    /// A call without cached tokens.
    pub fn new(input_tokens: u64, output_tokens: u64) -> Self {
        Self { input_tokens, cached_input_tokens: 0, output_tokens }
    }

    /// Sets how many of the input tokens were cached.
    #[must_use]
    pub fn with_cached(mut self, tokens: u64) -> Self {
        self.cached_input_tokens = tokens;
        self
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Completion {
    /// What the model said.
    pub message: Message,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// What it cost in tokens.
    pub usage: Usage,
    /// The model that answered.
    pub model: String,
}

impl Completion {
    /// An answer.
    pub fn new(
        message: Message,
        finish_reason: FinishReason,
        usage: Usage,
        model: impl Into<String>,
    ) -> Self {
        Self { message, finish_reason, usage, model: model.into() }
    }

    /// The text of the answer.
    pub fn text(&self) -> String {
        self.message.text()
    }
}
