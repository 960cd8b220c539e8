//! The gateway that is served.

use std::path::Path;

use agentscale::core::Result;
use agentscale::core::metrics::Metrics;
use agentscale::llm::budget::InMemoryBudgetLedger;
use agentscale::llm::config::{ConfiguredGateway, GatewayFile, GatewayParts, Watch};

use crate::demo;

/// A gateway, and what belongs to it.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) gateway: ConfiguredGateway,
    /// What its budgets are kept in, and what was used; for as long as the process runs.
    pub(crate) ledger: InMemoryBudgetLedger,
    /// Takes what the file says anew.
    _watch: Option<Watch>,
}

impl Served {
    /// The gateway of a file, which is watched; the demo's without one.
    ///
    /// # Errors
    /// As for [`GatewayFile::open`].
    pub(crate) async fn open(file: Option<&Path>, registry: &Metrics) -> Result<Self> {
        let ledger = InMemoryBudgetLedger::new();
        let parts = GatewayParts::new().with_metrics(registry.clone()).with_ledger(ledger.clone());
        let (gateway, watch) = match file {
            Some(file) => {
                let file = GatewayFile::open(file, parts).await?;
                (file.gateway().clone(), Some(file.watch()))
            }
            None => (ConfiguredGateway::new(demo::gateway()?, parts).await?, None),
        };
        Ok(Self { gateway, ledger, _watch: watch })
    }
}
