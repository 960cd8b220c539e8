use std::sync::Arc;

use agentscale_core::{LeaseStore, Result};

#[cfg(feature = "postgres")]
use crate::PostgresLeaseStore;
use crate::{InMemoryLeaseStore, SqliteLeaseStore};

/// The leases of a bundle, beside its checkpoints.
#[derive(Debug)]
pub(super) enum Leases {
    Memory(InMemoryLeaseStore),
    Sqlite(SqliteLeaseStore),
    /// On the connections of the checkpoints, which close with these.
    #[cfg(feature = "postgres")]
    Postgres(PostgresLeaseStore),
}

impl Leases {
    pub(super) fn store(&self) -> Arc<dyn LeaseStore> {
        match self {
            Self::Memory(store) => Arc::new(store.clone()),
            Self::Sqlite(store) => Arc::new(store.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    pub(super) async fn close(&self) -> Result<()> {
        match self {
            Self::Sqlite(store) => store.close().await,
            _ => Ok(()),
        }
    }
}
