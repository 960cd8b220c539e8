mod stored;

use serde::{Deserialize, Serialize};

use super::{Image, Reasoning};
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
#[serde(tag = "type", rename_all = "snake_case", try_from = "stored::StoredContent")]
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
    /// An image, for models that see.
    Image(Image),
    /// What the model thought before it spoke.
    Reasoning(Reasoning),
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
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Vec<Content>,
    /// Whether the conversation up to and with this message comes again, so that the provider does well to keep it in
    /// its prompt cache. Providers that cache unasked pass over it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache_breakpoint: bool,
}

impl Message {
    /// A message of any role.
    pub fn new(role: Role, content: Vec<Content>) -> Self {
        Self { role, content, cache_breakpoint: false }
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

    /// Adds an image.
    #[must_use]
    pub fn with_image(mut self, image: Image) -> Self {
        self.content.push(Content::Image(image));
        self
    }

    /// Says that the conversation up to and with this message comes again.
    #[must_use]
    pub fn with_cache_breakpoint(mut self) -> Self {
        self.cache_breakpoint = true;
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

/// A call that the model asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// Names the call among those of its conversation.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments; `{}` where the model gave none.
    pub arguments: Json,
    /// What the provider wants back unread with the call in the next request: Gemini's thought signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl ToolCall {
    /// A call of the tool `name`.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: Json) -> Self {
        Self { id: id.into(), name: name.into(), arguments, signature: None }
    }

    /// Keeps what the provider wants back with the call.
    #[must_use]
    pub fn with_signature(mut self, signature: impl Into<String>) -> Self {
        self.signature = Some(signature.into());
        self
    }
}
