use std::sync::Arc;

use agentscale_core::time::SystemClock;
use agentscale_core::{Error, ErrorKind, Result};

use super::Stores;
use crate::archive::{Archive, FolderArchive, Retirement};
use crate::observations::{ObservationLogConfig, ObservationStore, SqliteObservationConfig};
use crate::{ObservationLog, SqliteObservationStore};

/// The log of a bundle, beside its checkpoints.
pub(super) async fn open(stores: &Stores) -> Result<ObservationLog> {
    let store = store(stores).await?;
    Ok(ObservationLog::new(store, &ObservationLogConfig::default(), Arc::new(SystemClock::new())))
}

async fn store(stores: &Stores) -> Result<Arc<dyn ObservationStore>> {
    #[cfg(feature = "postgres")]
    if let Some(store) = &stores.postgres {
        let config = crate::observations::PostgresObservationConfig {
            retirement: stores.retirement.clone().unwrap_or_default(),
            ..Default::default()
        };
        let store = crate::PostgresObservationStore::on(store.postgres().clone(), config).await?;
        return Ok(Arc::new(store));
    }
    let Some(folder) = &stores.folder else {
        return Err(
            Error::new(ErrorKind::Unsupported, "open observations").with_context("reason", "no folder")
        );
    };
    let archive = || Retirement::Archive(Archive::new(FolderArchive::new(folder.join("archive"))));
    let config = SqliteObservationConfig {
        retirement: stores.retirement.clone().unwrap_or_else(archive),
        ..SqliteObservationConfig::default()
    };
    Ok(Arc::new(SqliteObservationStore::open_with(folder.join("observations.db"), config).await?))
}
