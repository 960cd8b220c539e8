//! OpenAI's chat completions, responses and embeddings, and the servers that speak the same: vLLM, Ollama, llama.cpp and
//! others.

mod chat;
#[cfg(feature = "openai")]
mod config;
#[cfg(feature = "openai")]
mod connection;
#[cfg(feature = "openai")]
mod embeddings;
mod error;
#[cfg(feature = "openai")]
mod family;
#[cfg(feature = "openai")]
mod parts;
#[cfg(feature = "openai")]
mod prompt_cache;
#[cfg(feature = "openai")]
mod provider;
mod responses;

pub(crate) use chat::ChatReader;
#[cfg(feature = "openai")]
pub use config::{CacheRetentionField, OpenAiConfig, TokenLimitField};
pub(crate) use error::ErrorBody;
#[cfg(feature = "openai")]
pub use provider::OpenAiProvider;
pub(crate) use responses::ResponseReader;
#[cfg(feature = "openai")]
pub use responses::provider::OpenAiResponsesProvider;
