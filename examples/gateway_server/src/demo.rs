//! The server without a configuration: one simulated model behind the gateway, and the key `demo`.

use std::net::SocketAddr;
use std::sync::Arc;

use agentscale::core::metrics::Metrics;
use agentscale::core::{BudgetLedger, Priority, Result, Tenant};
use agentscale::llm::SimulatedProvider;
use agentscale::llm::gateway::{Gateway, GatewayModel, KeyPool, ProviderKey};
use agentscale::llm::simulated::SimulatedConfig;

use crate::auth::KeyHash;
use crate::config::{KeyConfig, ServerConfig};

const KEY: &str = "demo";
const MODEL: &str = "simulated";

pub(crate) fn config() -> Result<ServerConfig> {
    let key = KeyConfig {
        name: KEY.to_owned(),
        hash: KeyHash::of(KEY),
        tenant: Tenant::new(KEY)?,
        account: None,
        priority: Priority::default(),
        models: None,
    };
    let mut config = ServerConfig { keys: vec![key], ..ServerConfig::default() };
    config.simulator.token_us = 30_000;
    Ok(config)
}

/// A gateway of one key, which is the simulator's.
pub(crate) fn gateway(
    config: &SimulatedConfig,
    metrics: &Metrics,
    ledger: Arc<dyn BudgetLedger>,
) -> Result<Gateway> {
    let model = config.model.clone();
    let key = ProviderKey::new("simulator", SimulatedProvider::new(config.clone())?);
    Gateway::builder()
        .metrics(metrics.clone())
        .ledger(ledger)
        .pool(KeyPool::new("simulator").key(key))
        .model(GatewayModel::new(&model).via("simulator", &model).with_context_window(config.context_window))
        .build()
}

/// Tells whoever started it what to do next.
pub(crate) fn explain(listen: SocketAddr) {
    eprintln!(
        "No configuration: a simulated model answers whoever has the key `{KEY}`. Try\n\n  \
         curl -N http://{listen}/v1/chat/completions -H 'authorization: Bearer {KEY}' -d \
         '{{\"model\":\"{MODEL}\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"Hello\"}}]}}'\n"
    );
}
