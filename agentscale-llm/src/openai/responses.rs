//! Responses.

#[cfg(feature = "openai")]
pub(super) mod provider;
#[cfg(feature = "openai")]
mod read;
mod reader;
#[cfg(feature = "openai")]
mod request;
mod wire;

pub(crate) use reader::ResponseReader;

/// Names this API beside what goes back to it unread.
const API_NAME: &str = "openai-responses";
