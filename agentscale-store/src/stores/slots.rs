use std::sync::Arc;

use agentscale_core::{Result, SlotStore};

#[cfg(feature = "postgres")]
use crate::PostgresSlotStore;
use crate::{InMemorySlotStore, SqliteSlotStore};

/// The slots of a bundle, beside its checkpoints.
#[derive(Debug)]
pub(super) enum Slots {
    Memory(InMemorySlotStore),
    Sqlite(SqliteSlotStore),
    /// On the connections of the checkpoints, which close with these.
    #[cfg(feature = "postgres")]
    Postgres(PostgresSlotStore),
}

impl Slots {
    pub(super) fn store(&self) -> Arc<dyn SlotStore> {
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
