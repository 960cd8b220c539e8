//! What the clients of the providers share: connections, bodies, streams.

mod client;
mod config;
mod limits;
mod stream;

#[cfg(any(feature = "anthropic", feature = "openai", feature = "vault"))]
pub(crate) use client::header_value;
pub(crate) use client::{Api, Client, shown_url};
pub use config::ConnectionConfig;
pub(crate) use stream::read_stream;

use agentscale_core::{Error, ErrorKind, Result};

/// The model that a request names, or else the configuration.
pub(crate) fn model_of<'a>(api: &Api, asked: &'a str, default: Option<&'a str>) -> Result<&'a str> {
    let named = Some(asked).filter(|model| !model.is_empty()).or(default);
    named.ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, api.operation).with_context("reason", "no model is named")
    })
}
