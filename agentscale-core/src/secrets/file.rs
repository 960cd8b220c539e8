use std::fs::{self, File, Metadata};
use std::io::{ErrorKind as IoErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{Secret, SecretSource};
use crate::{Error, ErrorKind, Result};

const OPERATION: &str = "read a secret's file";

/// The longest secret of a file, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// Secrets that stand in files of their own, by their paths; the end of the last line is no part of them.
///
/// A file is read each time, so that an exchanged one is seen at once, also where a link leads to another file then, as
/// Kubernetes does it.
///
/// A file that others than its owner may write is refused with `permission_denied`: they could put another secret in its
/// place. One that others may read is taken, since Kubernetes mounts secrets so, and told by one `tracing` warning, unless
/// [`owner_only`](Self::owner_only) refuses it too. Where there are no such permissions, on Windows, nothing is checked.
#[derive(Clone, Debug, Default)]
pub struct FileSecrets {
    folder: Option<PathBuf>,
    owner_only: bool,
    warned: Arc<AtomicBool>,
}

impl FileSecrets {
    /// Files by their absolute paths.
    pub fn new() -> Self {
        Self::default()
    }

    /// The files of one folder, by their paths within it.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..Self::default() }
    }

    /// Refuses files that others than their owner may read.
    #[must_use]
    pub fn owner_only(mut self) -> Self {
        self.owner_only = true;
        self
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        let path = Path::new(name);
        let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        match &self.folder {
            Some(folder) if is_plain && !name.is_empty() => Ok(folder.join(path)),
            None if path.is_absolute() => Ok(path.to_owned()),
            Some(_) => Err(refused(ErrorKind::InvalidInput, name, "no path within the folder")),
            None => Err(refused(ErrorKind::InvalidInput, name, "no absolute path")),
        }
    }

    fn read(&self, path: &Path, name: &str) -> Result<Secret> {
        let failed = |error: std::io::Error| {
            let kind = match error.kind() {
                IoErrorKind::NotFound | IoErrorKind::NotADirectory => ErrorKind::NotFound,
                IoErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
                IoErrorKind::InvalidInput => ErrorKind::InvalidInput,
                _ => ErrorKind::Unavailable,
            };
            Error::new(kind, OPERATION).with_context("path", name.escape_debug()).with_source(error)
        };
        // Before it is opened: opening a pipe waits for who writes it.
        if !fs::metadata(path).map_err(failed)?.is_file() {
            return Err(refused(ErrorKind::InvalidInput, name, "no file"));
        }
        let file = File::open(path).map_err(failed)?;
        self.check(&file.metadata().map_err(failed)?, name)?;
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(refused(ErrorKind::TooLarge, name, "longer than 64 KiB"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| refused(ErrorKind::Corrupt, name, "no text"))?;
        match text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line)) {
            "" => Err(refused(ErrorKind::NotFound, name, "empty")),
            secret => Ok(Secret::new(secret)),
        }
    }

    #[cfg(unix)]
    fn check(&self, file: &Metadata, name: &str) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;

        let mode = file.permissions().mode();
        if mode & 0o022 != 0 {
            return Err(refused(ErrorKind::PermissionDenied, name, "others than its owner may write it"));
        }
        if mode & 0o044 != 0 && self.owner_only {
            return Err(refused(ErrorKind::PermissionDenied, name, "others than its owner may read it"));
        }
        if mode & 0o004 != 0 && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "agentscale", path = name, "everyone may read the file of a secret");
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn check(&self, _: &Metadata, _: &str) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl SecretSource for FileSecrets {
    async fn secret(&self, name: &str) -> Result<Secret> {
        let (path, name, files) = (self.path(name)?, name.to_owned(), self.clone());
        let read = tokio::task::spawn_blocking(move || files.read(&path, &name)).await;
        read.map_err(|error| Error::new(ErrorKind::Internal, OPERATION).with_source(error))?
    }
}

fn refused(kind: ErrorKind, name: &str, reason: &'static str) -> Error {
    Error::new(kind, OPERATION).with_context("path", name.escape_debug()).with_context("reason", reason)
}
