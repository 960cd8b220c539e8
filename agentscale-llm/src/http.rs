//! What the clients of the providers share: connections, bodies, streams.

mod client;
mod config;
mod limits;
mod stream;

pub(crate) use client::{Api, Client, header_value, shown_url};
pub use config::ConnectionConfig;
pub(crate) use stream::read_stream;
