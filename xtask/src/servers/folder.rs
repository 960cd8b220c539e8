//! Where servers of our own keep their files.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::user::User;
use crate::Result;

/// A temporary folder that only the servers' user can enter.
pub(super) struct Folder {
    folder: TempDir,
    user: Option<User>,
}

impl Folder {
    pub(super) fn new(user: Option<User>) -> Result<Self> {
        let chosen = std::env::temp_dir();
        // Another user cannot follow where root alone may go.
        let closed = user.is_some() && !chosen.ancestors().all(is_open);
        let place = if closed { PathBuf::from("/tmp") } else { chosen };
        let folder = tempfile::Builder::new().prefix("agentscale-servers-").tempdir_in(place)?;
        let this = Self { folder, user };
        this.hand_over(this.folder.path())?;
        Ok(this)
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file that the servers can read and nobody else.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path().join(name);
        let mut file = fs::File::create(&path)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        self.hand_over(&path)?;
        Ok(path)
    }

    fn hand_over(&self, path: &Path) -> Result {
        match self.user {
            Some(user) => Ok(chown(path, Some(user.uid), Some(user.gid))?),
            None => Ok(()),
        }
    }
}

fn is_open(folder: &Path) -> bool {
    fs::metadata(folder).is_ok_and(|folder| folder.permissions().mode() & 0o001 != 0)
}
