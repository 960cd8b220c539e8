use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::gateway::builder::OPERATION;
use crate::nonzero::nonzero;

/// How a gateway spends budgets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetConfig {
    /// How often what was spent is settled with the ledger, and grants are topped up or given back, in milliseconds; 5,000
    /// (row K4f).
    pub settle_every_ms: u64,
    /// How long the grants last without a word from this gateway, in milliseconds; 30,000. Behind that they are forfeited.
    pub lease_ms: u64,
    /// How long the ledger may take to answer, in milliseconds; 5,000. Calls that need a grant are refused then.
    pub ledger_timeout_ms: u64,
    /// The most tokens that one image can be billed as; 50,000. OpenAI's `gpt-4o-mini` counts up to 48,169, others at most a few
    /// thousand.
    pub image_tokens: u64,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { settle_every_ms: 5_000, lease_ms: 30_000, ledger_timeout_ms: 5_000, image_tokens: 50_000 }
    }
}

impl BudgetConfig {
    pub(crate) fn check(&self) -> Result<()> {
        let fields =
            [("settle_every_ms", self.settle_every_ms), ("ledger_timeout_ms", self.ledger_timeout_ms)];
        nonzero(OPERATION, fields.map(|(field, value)| (field, Some(value))))?;
        if self.lease_ms <= self.settle_every_ms.saturating_add(self.ledger_timeout_ms) {
            return Err(Error::new(ErrorKind::InvalidInput, OPERATION)
                .with_context("field", "lease_ms")
                .with_context("reason", "over before it can be renewed"));
        }
        Ok(())
    }

    pub(crate) fn settle_every(&self) -> Duration {
        Duration::from_millis(self.settle_every_ms)
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    pub(crate) fn ledger_timeout(&self) -> Duration {
        Duration::from_millis(self.ledger_timeout_ms)
    }
}
