//! Gemini's generateContent.

#[cfg(feature = "gemini")]
mod cached_content;
#[cfg(feature = "gemini")]
mod config;
#[cfg(feature = "gemini")]
mod embeddings;
mod error;
#[cfg(feature = "gemini")]
mod family;
#[cfg(feature = "gemini")]
mod provider;
#[cfg(feature = "gemini")]
mod read;
mod reader;
#[cfg(feature = "gemini")]
mod request;
mod wire;

#[cfg(feature = "gemini")]
pub use cached_content::CachedContent;
#[cfg(feature = "gemini")]
pub use config::GeminiConfig;
#[cfg(feature = "gemini")]
pub use provider::GeminiProvider;
pub(crate) use reader::GenerateReader;

/// Names this API beside what goes back to it unread.
const API_NAME: &str = "gemini";
