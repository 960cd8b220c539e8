//! One runtime a state folder: an OS lock that ends with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use agentscale_core::{Error, ErrorKind, Result};

const FILE: &str = "agentscale.lock";

/// Holds a state folder for this process. A host that opens files of the folder before it starts its runtime takes the
/// lock first and hands it over with [`RuntimeBuilder::state_lock`](crate::RuntimeBuilder::state_lock).
#[derive(Debug)]
pub struct StateLock {
    folder: PathBuf,
    _file: File,
}

impl StateLock {
    /// Locks a folder, which is made where it does not exist.
    ///
    /// # Errors
    /// `already_exists` where another process holds it; `unavailable` where the file cannot be made or locked.
    pub fn acquire(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let failed = |kind| Error::new(kind, "lock state folder").with_context("folder", folder.display());
        std::fs::create_dir_all(folder).map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(FILE))
            .map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_owned(), _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(failed(ErrorKind::AlreadyExists).with_context("reason", "another process runs on it"))
            }
            Err(TryLockError::Error(error)) => Err(failed(ErrorKind::Unavailable).with_source(error)),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
