//! Anthropic's messages.

#[cfg(feature = "anthropic")]
mod config;
mod error;
#[cfg(feature = "anthropic")]
mod family;
#[cfg(feature = "anthropic")]
mod provider;
#[cfg(feature = "anthropic")]
mod read;
mod reader;
#[cfg(feature = "anthropic")]
mod request;
mod wire;

#[cfg(feature = "anthropic")]
pub use config::{AnthropicConfig, SchemaForm, ThinkingForm};
#[cfg(feature = "anthropic")]
pub use provider::AnthropicProvider;
pub(crate) use reader::MessageReader;

/// Names this API beside what goes back to it unread.
const API_NAME: &str = "anthropic";
