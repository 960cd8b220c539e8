use std::sync::Arc;

#[cfg(feature = "schedules")]
use agentscale_core::ScheduleStore;
use agentscale_core::{JobQueue, Result};

#[cfg(feature = "postgres")]
use crate::PostgresJobQueue;
#[cfg(all(feature = "postgres", feature = "schedules"))]
use crate::PostgresScheduleStore;
use crate::SqliteJobQueue;
#[cfg(feature = "schedules")]
use crate::SqliteScheduleStore;

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

    /// The schedules that enqueue into it.
    #[cfg(feature = "schedules")]
    pub(super) async fn schedules(&self) -> Result<Arc<dyn ScheduleStore>> {
        match self {
            Self::Sqlite(queue) => Ok(Arc::new(SqliteScheduleStore::on(queue.clone()))),
            #[cfg(feature = "postgres")]
            Self::Postgres(queue) => Ok(Arc::new(PostgresScheduleStore::on(queue.clone()).await?)),
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
