//! One runtime a state folder: an OS lock that ends with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use agentscale_core::{Error, ErrorKind, Result};

const FILE: &str = "agentscale.lock";

#[derive(Debug)]
pub(crate) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks a folder that exists.
    ///
    /// # Errors
    /// `already_exists` where another process holds it; `unavailable` where the file cannot be made or locked.
    pub(crate) fn acquire(folder: &Path) -> Result<Self> {
        let path: PathBuf = folder.join(FILE);
        let failed = |kind| Error::new(kind, "lock state folder").with_context("folder", folder.display());
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| failed(ErrorKind::Unavailable).with_source(error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(failed(ErrorKind::AlreadyExists).with_context("reason", "another process runs on it"))
            }
            Err(TryLockError::Error(error)) => Err(failed(ErrorKind::Unavailable).with_source(error)),
        }
    }
}
