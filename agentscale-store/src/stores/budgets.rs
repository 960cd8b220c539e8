use std::sync::Arc;

use agentscale_core::{BudgetLedger, Result};

#[cfg(feature = "postgres")]
use crate::PostgresBudgetLedger;
use crate::SqliteBudgetLedger;

/// The budgets of a bundle, beside its checkpoints.
#[derive(Debug)]
pub(super) enum Budgets {
    Sqlite(SqliteBudgetLedger),
    /// On the connections of the checkpoints, which close with these.
    #[cfg(feature = "postgres")]
    Postgres(PostgresBudgetLedger),
}

impl Budgets {
    pub(super) fn ledger(&self) -> Arc<dyn BudgetLedger> {
        match self {
            Self::Sqlite(ledger) => Arc::new(ledger.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(ledger) => Arc::new(ledger.clone()),
        }
    }

    pub(super) async fn close(&self) -> Result<()> {
        match self {
            Self::Sqlite(ledger) => ledger.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
        }
    }
}
