use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentscale_core::checkpoint::StoreSet;
use agentscale_core::{CheckpointStore, Error, ErrorKind, Result};

use crate::{InMemoryCheckpointStore, SqliteCheckpointStore};

/// The durable stores of one runtime.
#[derive(Clone, Debug)]
pub struct Stores {
    checkpoints: Arc<dyn CheckpointStore>,
    sqlite: Option<SqliteCheckpointStore>,
    folder: Option<PathBuf>,
}

impl Stores {
    /// Stores in one folder, a file each (`checkpoints.db`); makes the folder where it does not exist.
    ///
    /// # Errors
    /// `unavailable` for a folder that cannot be made; those of [`SqliteCheckpointStore::open`].
    pub async fn sqlite(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "open stores")
                .with_context("folder", folder.display())
                .with_source(error)
        })?;
        let store = SqliteCheckpointStore::open(folder.join("checkpoints.db")).await?;
        Ok(Self {
            checkpoints: Arc::new(store.clone()),
            sqlite: Some(store),
            folder: Some(folder.to_owned()),
        })
    }

    /// Stores that live as long as their process.
    pub fn in_memory() -> Self {
        Self::with_checkpoints(Arc::new(InMemoryCheckpointStore::new()))
    }

    /// Stores around a checkpoint store of the host's own.
    pub fn with_checkpoints(checkpoints: Arc<dyn CheckpointStore>) -> Self {
        Self { checkpoints, sqlite: None, folder: None }
    }

    /// Where checkpoints are kept.
    pub fn checkpoints(&self) -> Arc<dyn CheckpointStore> {
        self.checkpoints.clone()
    }

    /// The checkpoints of [`Stores::sqlite`], for their figures.
    pub fn sqlite_checkpoints(&self) -> Option<&SqliteCheckpointStore> {
        self.sqlite.as_ref()
    }

    /// Writes what is queued and closes the files that these stores opened.
    ///
    /// # Errors
    /// Those of [`SqliteCheckpointStore::close`].
    pub async fn close(&self) -> Result<()> {
        match &self.sqlite {
            Some(store) => store.close().await,
            None => Ok(()),
        }
    }
}

/// A runtime that is given these stores locks their folder.
impl From<Stores> for StoreSet {
    fn from(stores: Stores) -> Self {
        let set = Self::new(stores.checkpoints);
        match stores.folder {
            Some(folder) => set.in_folder(folder),
            None => set,
        }
    }
}
