use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Message, RateLimits};
use crate::Error;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done, or met a stop text.
    Stop,
    /// The answer reached its longest length, or the end of the context window.
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
    /// All input tokens, those read from and written to the prompt cache included.
    pub input_tokens: u64,
    /// Input tokens that were read from the provider's prompt cache.
    pub cached_input_tokens: u64,
    /// Input tokens that were written to the provider's prompt cache, where writing has a price.
    pub cache_write_input_tokens: u64,
    /// All output tokens, reasoning included.
    pub output_tokens: u64,
    /// Output tokens that the model thought with.
    pub reasoning_tokens: u64,
}

impl Usage {
    /// A call without cached tokens.
    pub fn new(input_tokens: u64, output_tokens: u64) -> Self {
        Self { input_tokens, output_tokens, ..Self::default() }
    }

    /// Sets how many of the input tokens were read from the prompt cache.
    #[must_use]
    pub fn with_cached(mut self, tokens: u64) -> Self {
        self.cached_input_tokens = tokens;
        self
    }

    /// Sets how many of the input tokens were written to the prompt cache.
    #[must_use]
    pub fn with_cache_write(mut self, tokens: u64) -> Self {
        self.cache_write_input_tokens = tokens;
        self
    }

    /// Sets how many of the output tokens were reasoning.
    #[must_use]
    pub fn with_reasoning(mut self, tokens: u64) -> Self {
        self.reasoning_tokens = tokens;
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
    /// What the provider said of its limits beside the answer. It is of the moment and not stored.
    #[serde(skip)]
    pub rate_limits: RateLimits,
}

impl Completion {
    /// An answer.
    pub fn new(
        message: Message,
        finish_reason: FinishReason,
        usage: Usage,
        model: impl Into<String>,
    ) -> Self {
        Self { message, finish_reason, usage, model: model.into(), rate_limits: RateLimits::default() }
    }

    /// Adds what the provider said of its limits.
    #[must_use]
    pub fn with_rate_limits(mut self, limits: RateLimits) -> Self {
        self.rate_limits = limits;
        self
    }

    /// The text of the answer.
    pub fn text(&self) -> String {
        self.message.text()
    }
}

/// What had come of an answer when it broke off: the source of the error that ended it.
///
/// Neither `Debug` nor `Display` shows the text.
///
/// ```
/// use agentscale_core::llm::{Message, PartialAnswer, Usage};
/// use agentscale_core::{Error, ErrorKind};
///
/// let came = PartialAnswer::new(Message::assistant("A lease la"), Usage::new(20, 3), "m");
/// let error = came.behind(Error::new(ErrorKind::Unavailable, "read the stream"));
/// assert_eq!(PartialAnswer::of(&error).unwrap().message.text(), "A lease la");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct PartialAnswer {
    /// What the model had said. The arguments of a call that was not finished are left out with the call.
    pub message: Message,
    /// The usage that the provider had told; it may be less than it bills.
    pub usage: Usage,
    /// The model that answered; empty where it was not told.
    pub model: String,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl PartialAnswer {
    /// What had come.
    pub fn new(message: Message, usage: Usage, model: impl Into<String>) -> Self {
        Self { message, usage, model: model.into(), cause: None }
    }

    /// Puts what had come behind `error`, and the source that the error had behind that.
    pub fn behind(mut self, mut error: Error) -> Error {
        self.cause = error.take_source();
        error.with_source(self)
    }

    /// The part of an answer that stands behind `error`.
    pub fn of(error: &Error) -> Option<&Self> {
        find(error)
    }
}

impl fmt::Debug for PartialAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartialAnswer")
            .field("text_bytes", &self.message.text().len())
            .field("tool_calls", &self.message.tool_calls().count())
            .field("usage", &self.usage)
            .field("model", &self.model)
            .finish()
    }
}

impl fmt::Display for PartialAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer broke off behind {} bytes of text", self.message.text().len())
    }
}

impl StdError for PartialAnswer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// The first error of type `E` behind `error`.
pub(super) fn find<E: StdError + 'static>(error: &Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        source = cause.source();
    }
    None
}
