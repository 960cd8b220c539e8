//! Chat completions.

#[cfg(feature = "openai")]
mod read;
pub(super) mod reader;
#[cfg(feature = "openai")]
pub(super) mod request;
pub(super) mod wire;

#[cfg(feature = "openai")]
pub(super) use read::completion;
pub(crate) use reader::ChatReader;

/// Names this API beside what goes back to it unread.
const API_NAME: &str = "openai-chat";

/// Servers that show what a model thinks name it one way or the other.
const THOUGHT_FIELDS: [&str; 2] = ["reasoning_content", "reasoning"];
