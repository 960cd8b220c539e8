//! The promises of agentscale-knowledge.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod embedded;
mod index;
mod loader;
