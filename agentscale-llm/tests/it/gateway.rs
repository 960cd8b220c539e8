//! The promises of the gateway.

mod budget;
mod classes;
mod copies;
mod failover;
mod health;
mod limits;
mod line;
mod names;
mod overflow;
mod reload;
pub(crate) mod scene;
mod spans;
mod tasks;
mod telemetry;
mod works;

mod conformance {
    use agentscale_llm::ExtractiveProvider;

    use super::scene::over;

    agentscale_core::llm_provider_conformance!(over([ExtractiveProvider::new()]));
}
