use std::sync::Arc;

use agentscale_core::{JobQueue, Result};

#[cfg(feature = "postgres")]
use crate::PostgresJobQueue;
use crate::SqliteJobQueue;

/// The jobs of a bundle, beside its checkpoints.
#[derive(Debug)]
pub(super) enum Jobs {
    Sqlite(SqliteJobQueue),
    /// On the connections of the checkpoints, which close with these.
    #[cfg(feature = "postgres")]
    Postgres(PostgresJobQueue),
}

impl Jobs {
    pub(super) fn queue(&self) -> Arc<dyn JobQueue> {
        match self {
            Self::Sqlite(queue) => Arc::new(queue.clone()),
            #[cfg(feature = "postgres")]
            Self::Postgres(queue) => Arc::new(queue.clone()),
        }
    }

    pub(super) async fn close(&self) -> Result<()> {
        match self {
            Self::Sqlite(queue) => queue.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
        }
    }
}
