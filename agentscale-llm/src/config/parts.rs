use std::sync::Arc;

use agentscale_core::BudgetLedger;
use agentscale_core::metrics::Metrics;
use agentscale_core::time::{Clock, SystemClock};

use super::Registry;

/// What a host gives a configured gateway beside its configuration.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GatewayParts {
    /// What the configuration can name.
    pub registry: Registry,
    /// Where calls, caches and secrets are recorded; nowhere that can be read unless given.
    pub metrics: Metrics,
    /// The clock; the system's unless given.
    pub clock: Arc<dyn Clock>,
    /// Where budgets are kept and usage is recorded; none.
    pub ledger: Option<Arc<dyn BudgetLedger>>,
}

impl Default for GatewayParts {
    fn default() -> Self {
        Self::new()
    }
}

impl GatewayParts {
    /// The kinds of this crate, the system's clock, records that nobody reads.
    pub fn new() -> Self {
        Self {
            registry: Registry::new(),
            metrics: Metrics::new(),
            clock: Arc::new(SystemClock::new()),
            ledger: None,
        }
    }

    /// Sets what the configuration can name.
    #[must_use]
    pub fn with_registry(mut self, registry: Registry) -> Self {
        self.registry = registry;
        self
    }

    /// Sets where calls, caches and secrets are recorded.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets where budgets are kept and usage is recorded. A configuration with budgets needs one.
    #[must_use]
    pub fn with_ledger(mut self, ledger: impl BudgetLedger) -> Self {
        self.ledger = Some(Arc::new(ledger));
        self
    }
}
