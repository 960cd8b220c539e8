//! OpenAI's chat completions and embeddings, and the servers that speak the same: vLLM, Ollama, llama.cpp and others.

mod chat;
#[cfg(feature = "openai")]
mod config;
#[cfg(feature = "openai")]
mod embeddings;
mod error;
#[cfg(feature = "openai")]
mod parts;
#[cfg(feature = "openai")]
mod prompt_cache;
#[cfg(feature = "openai")]
mod provider;

pub(crate) use chat::ChatReader;
#[cfg(feature = "openai")]
pub use config::{CacheRetentionField, OpenAiConfig, TokenLimitField};
#[cfg(feature = "openai")]
pub use provider::OpenAiProvider;
