//! The server as a process of its own, driven by a client that this project did not write, and by clients that mean no
//! good.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chat;
mod client;
mod config;
mod drain;
mod embeddings;
mod errors;
mod hostile;
mod models;
mod ops;
mod reload;
mod responses;
mod server;
mod settle;
mod upstream;
mod usage;
