//! The promises of the gateway.

mod budget;
mod chaos;
mod classes;
mod continuation;
mod copies;
mod failover;
mod health;
mod limited;
mod limits;
mod line;
mod names;
mod overflow;
mod refusals;
mod reload;
pub(crate) mod scene;
mod shares;
mod spans;
mod tasks;
mod telemetry;
mod works;

mod conformance {
    use agentscale_llm::ExtractiveProvider;

    use super::scene::over;

    agentscale_core::llm_provider_conformance!(over([ExtractiveProvider::new()]));
}
