//! The server without a configuration: one simulated model, and the key `demo`.

use std::net::SocketAddr;

use agentscale::core::{Priority, Result, Tenant};
use agentscale::llm::config::Configuration;

use crate::auth::KeyHash;
use crate::config::{KeyConfig, ServerConfig};

const KEY: &str = "demo";
const GATEWAY: &str = include_str!("demo.toml");

pub(crate) fn config() -> Result<ServerConfig> {
    let key = KeyConfig {
        name: KEY.to_owned(),
        hash: KeyHash::of(KEY),
        tenant: Tenant::new(KEY)?,
        account: None,
        priority: Priority::default(),
        models: None,
    };
    Ok(ServerConfig { keys: vec![key], ..ServerConfig::default() })
}

pub(crate) fn gateway() -> Result<Configuration> {
    Configuration::from_toml(GATEWAY)
}

/// Tells whoever started it what to do next.
pub(crate) fn explain(listen: SocketAddr) {
    eprintln!(
        "No configuration: a simulated model answers whoever has the key `{KEY}`. Try\n\n  \
         curl -N http://{listen}/v1/chat/completions -H 'authorization: Bearer {KEY}' -d \
         '{{\"model\":\"simulated\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n"
    );
}
