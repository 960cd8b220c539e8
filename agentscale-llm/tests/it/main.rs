//! The promises of this crate's providers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "anthropic")]
mod anthropic;
mod bad_input;
mod budget;
mod cache;
mod calls;
#[cfg(feature = "config")]
mod config;
mod conformance;
mod deployments;
mod extractive;
mod fixtures;
mod gateway;
#[cfg(feature = "gemini")]
mod gemini;
#[cfg(all(feature = "anthropic", feature = "gemini", feature = "ollama", feature = "openai"))]
mod keys;
#[cfg(all(feature = "anthropic", feature = "gemini", feature = "ollama", feature = "openai"))]
mod malformed;
#[cfg(feature = "openai")]
mod model_server;
#[cfg(feature = "ollama")]
mod ollama;
#[cfg(feature = "openai")]
mod openai;
#[cfg(all(feature = "anthropic", feature = "gemini", feature = "ollama", feature = "openai"))]
mod secrets;
#[cfg(any(
    feature = "anthropic",
    feature = "gemini",
    feature = "ollama",
    feature = "openai",
    feature = "vault"
))]
#[allow(dead_code, reason = "no provider's tests need all of it")]
mod server;
mod simulated;
mod spoilt;
#[cfg(feature = "vault")]
mod vault;
