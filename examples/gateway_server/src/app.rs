use agentscale::core::metrics::Metrics;
use agentscale::core::time::{Clock, SystemClock};
use agentscale::core::{BudgetLedger, Result};
use agentscale::llm::config::ConfiguredGateway;
use agentscale::llm::gateway::Gateway;

use crate::api::body::Room;
use crate::auth::Keys;
use crate::config::ServerConfig;
use crate::gateway::Served;
use crate::observe::ServerMetrics;
use crate::server::Drain;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) config: ServerConfig,
    pub(crate) keys: Keys,
    pub(crate) registry: Metrics,
    pub(crate) metrics: ServerMetrics,
    pub(crate) drain: Drain,
    pub(crate) bodies: Room,
    pub(crate) clock: SystemClock,
    /// Seconds since the Unix epoch: when models are said to have been made.
    pub(crate) started: u64,
    served: Served,
}

impl App {
    /// # Errors
    /// `invalid_input` for a configuration that cannot work.
    pub(crate) async fn new(config: ServerConfig) -> Result<Self> {
        let (registry, clock) = (Metrics::new(), SystemClock::new());
        Ok(Self {
            keys: Keys::new(&config.keys)?,
            served: Served::open(&config, &registry).await?,
            metrics: ServerMetrics::new(&registry)?,
            registry,
            drain: Drain::new(),
            bodies: Room::new(config.limits.max_bodies_bytes),
            started: clock.unix_micros() / 1_000_000,
            clock,
            config,
        })
    }

    /// What answers.
    pub(crate) fn provider(&self) -> &ConfiguredGateway {
        &self.served.gateway
    }

    /// The gateway behind its caches.
    pub(crate) fn gateway(&self) -> &Gateway {
        self.served.gateway.gateway()
    }

    pub(crate) fn ledger(&self) -> &dyn BudgetLedger {
        &self.served.ledger
    }

    /// Takes what the gateway's file says now.
    ///
    /// # Errors
    /// For one that cannot be used; then nothing has changed, and the log knows.
    pub(crate) async fn reload_gateway(&self) -> Result<()> {
        self.served.reload().await
    }

    /// Settles what is still to settle; no calls come behind it.
    ///
    /// # Errors
    /// Those of the ledger.
    pub(crate) async fn close(&self) -> Result<()> {
        self.served.close().await
    }

    /// Tells the log what could not be settled; gives how many records of usage these are.
    ///
    /// # Errors
    /// That it could not be found out.
    pub(crate) async fn give_up(&self) -> Result<usize> {
        self.served.give_up().await
    }

    /// Seconds since the Unix epoch.
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.clock.unix_micros() / 1_000_000
    }
}
