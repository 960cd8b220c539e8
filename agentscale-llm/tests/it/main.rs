//! The promises of this crate's providers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod extractive;
mod fixtures;
#[cfg(feature = "openai")]
mod model_server;
#[cfg(feature = "openai")]
mod openai;
#[cfg(feature = "openai")]
mod server;
mod simulated;
