//! Gateways out of files.

mod applied;
#[cfg(all(
    feature = "anthropic",
    feature = "gemini",
    feature = "ollama",
    feature = "openai",
    feature = "vault"
))]
mod chapter;
mod files;
mod hostile;
mod scene;
