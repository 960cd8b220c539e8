//! The promises of this crate's providers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod extractive;
#[cfg(feature = "openai")]
mod openai;
#[cfg(feature = "openai")]
mod server;
mod simulated;
