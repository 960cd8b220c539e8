//! Ollama's own API.

#[cfg(feature = "ollama")]
mod config;
#[cfg(feature = "ollama")]
mod embeddings;
mod error;
#[cfg(feature = "ollama")]
mod provider;
#[cfg(feature = "ollama")]
mod read;
mod reader;
#[cfg(feature = "ollama")]
mod request;
mod wire;

#[cfg(feature = "ollama")]
pub use config::OllamaConfig;
#[cfg(feature = "ollama")]
pub use provider::OllamaProvider;
pub(crate) use reader::LineReader;
