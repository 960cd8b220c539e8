use std::sync::Arc;

use agentscale::core::metrics::Metrics;
use agentscale::core::time::{Clock, SystemClock};
use agentscale::core::{BudgetLedger, LlmProvider, Result};
use agentscale::llm::budget::InMemoryBudgetLedger;
use agentscale::llm::gateway::Gateway;

use crate::auth::Keys;
use crate::config::ServerConfig;
use crate::demo;
use crate::observe::ServerMetrics;
use crate::server::Drain;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: ServerConfig,
    /// What answers.
    pub(crate) provider: Box<dyn LlmProvider>,
    /// What stands behind that.
    pub(crate) gateway: Gateway,
    /// What its budgets are kept in, and what was used.
    pub(crate) ledger: Arc<dyn BudgetLedger>,
    pub(crate) keys: Keys,
    pub(crate) registry: Metrics,
    pub(crate) metrics: ServerMetrics,
    pub(crate) drain: Drain,
    pub(crate) clock: SystemClock,
    /// Seconds since the Unix epoch: when models are said to have been made.
    pub(crate) started: u64,
}

impl App {
    /// # Errors
    /// `invalid_input` for a configuration that cannot work.
    pub(crate) fn new(config: ServerConfig) -> Result<Self> {
        config.limits.check()?;
        let (registry, clock) = (Metrics::new(), SystemClock::new());
        let ledger: Arc<dyn BudgetLedger> = Arc::new(InMemoryBudgetLedger::new());
        let gateway = demo::gateway(&config.simulator, &registry, Arc::clone(&ledger))?;
        Ok(Self {
            provider: Box::new(gateway.clone()),
            gateway,
            ledger,
            keys: Keys::new(&config.keys)?,
            metrics: ServerMetrics::new(&registry)?,
            registry,
            drain: Drain::new(),
            started: clock.unix_micros() / 1_000_000,
            clock,
            config,
        })
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.clock.unix_micros() / 1_000_000
    }
}
