//! The gateway that is served.

use std::path::Path;
use std::sync::Arc;

use agentscale::core::Result;
use agentscale::core::metrics::Metrics;
use agentscale::llm::budget::InMemoryBudgetLedger;
use agentscale::llm::config::{ConfiguredGateway, GatewayFile, GatewayParts, Watch};
use agentscale::store::SqliteBudgetLedger;

use crate::config::ServerConfig;
use crate::demo;
use crate::ledger::LoggedLedger;

/// A gateway, and what belongs to it.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) gateway: ConfiguredGateway,
    /// What its budgets are kept in, and what was used.
    pub(crate) ledger: LoggedLedger,
    /// The ledger's file, where it has one.
    ledger_file: Option<SqliteBudgetLedger>,
    /// Where the gateway stands, where it is no demo; and what takes it anew.
    file: Option<(GatewayFile, Watch)>,
}

impl Served {
    /// The gateway of the file that `config` names, which is watched; the demo's without one.
    ///
    /// # Errors
    /// Those of [`SqliteBudgetLedger::open`] and [`GatewayFile::open`].
    pub(crate) async fn open(config: &ServerConfig, registry: &Metrics) -> Result<Self> {
        let (ledger, ledger_file) = open_ledger(config.ledger.as_deref()).await?;
        let parts = GatewayParts::new().with_metrics(registry.clone()).with_ledger(Arc::new(ledger.clone()));
        let (gateway, file) = match &config.gateway {
            Some(file) => {
                let file = GatewayFile::open(file, parts).await?;
                let watch = file.watch();
                (file.gateway().clone(), Some((file, watch)))
            }
            None => (ConfiguredGateway::new(demo::gateway()?, parts).await?, None),
        };
        Ok(Self { gateway, ledger, ledger_file, file })
    }

    /// Takes what the gateway's file says now.
    ///
    /// # Errors
    /// Those of [`GatewayFile::reload`]; then nothing has changed.
    pub(crate) async fn reload(&self) -> Result<()> {
        match &self.file {
            Some((file, _)) => file.reload().await,
            None => Ok(()),
        }
    }

    /// Settles the budgets and closes their file.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(crate) async fn close(&self) -> Result<()> {
        self.gateway.gateway().close().await?;
        match &self.ledger_file {
            Some(file) => file.close().await,
            None => Ok(()),
        }
    }

    /// Tells the log what the ledger has not written; gives how many records these are.
    ///
    /// # Errors
    /// That it could not be found out.
    pub(crate) async fn give_up(&self) -> Result<usize> {
        self.ledger.give_up();
        // It waits for nothing but whoever speaks with the ledger just now, and they are done at once.
        self.gateway.gateway().close().await?;
        Ok(self.ledger.logged())
    }
}

async fn open_ledger(file: Option<&Path>) -> Result<(LoggedLedger, Option<SqliteBudgetLedger>)> {
    match file {
        Some(file) => {
            let ledger = SqliteBudgetLedger::open(file).await?;
            Ok((LoggedLedger::new(Arc::new(ledger.clone())), Some(ledger)))
        }
        None => Ok((LoggedLedger::new(Arc::new(InMemoryBudgetLedger::new())), None)),
    }
}
