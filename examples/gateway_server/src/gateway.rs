//! The gateway that is served.

use std::path::Path;
use std::sync::Arc;

use agentscale::core::metrics::Metrics;
use agentscale::core::{BudgetLedger, Result};
use agentscale::llm::budget::InMemoryBudgetLedger;
use agentscale::llm::config::{ConfiguredGateway, GatewayFile, GatewayParts, Watch};
use agentscale::store::SqliteBudgetLedger;

use crate::config::ServerConfig;
use crate::demo;

/// A gateway, and what belongs to it.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) gateway: ConfiguredGateway,
    /// What its budgets are kept in, and what was used.
    pub(crate) ledger: Arc<dyn BudgetLedger>,
    /// The ledger's file, where it has one.
    file: Option<SqliteBudgetLedger>,
    /// Takes what the gateway's file says anew.
    _watch: Option<Watch>,
}

impl Served {
    /// The gateway of the file that `config` names, which is watched; the demo's without one.
    ///
    /// # Errors
    /// Those of [`SqliteBudgetLedger::open`] and [`GatewayFile::open`].
    pub(crate) async fn open(config: &ServerConfig, registry: &Metrics) -> Result<Self> {
        let (ledger, file) = open_ledger(config.ledger.as_deref()).await?;
        let parts = GatewayParts::new().with_metrics(registry.clone()).with_ledger(Arc::clone(&ledger));
        let (gateway, watch) = match &config.gateway {
            Some(file) => {
                let file = GatewayFile::open(file, parts).await?;
                (file.gateway().clone(), Some(file.watch()))
            }
            None => (ConfiguredGateway::new(demo::gateway()?, parts).await?, None),
        };
        Ok(Self { gateway, ledger, file, _watch: watch })
    }

    /// Settles the budgets and closes their file.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(crate) async fn close(&self) -> Result<()> {
        let settled = self.gateway.gateway().close().await;
        match &self.file {
            Some(file) => settled.and(file.close().await),
            None => settled,
        }
    }
}

async fn open_ledger(file: Option<&Path>) -> Result<(Arc<dyn BudgetLedger>, Option<SqliteBudgetLedger>)> {
    match file {
        Some(file) => {
            let ledger = SqliteBudgetLedger::open(file).await?;
            Ok((Arc::new(ledger.clone()), Some(ledger)))
        }
        None => Ok((Arc::new(InMemoryBudgetLedger::new()), None)),
    }
}
