use std::path::{Path, PathBuf};

use agentscale::core::{Error, ErrorKind, Result};

use super::ServerConfig;

/// The server's file, as it was last read.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    path: PathBuf,
    last: blake3::Hash,
}

impl ConfigFile {
    /// Reads a file of TOML.
    ///
    /// # Errors
    /// `invalid_input` for a file that cannot be read or understood, or that names no gateway.
    pub(crate) async fn open(path: &Path) -> Result<(Self, ServerConfig)> {
        let text = read(path).await?;
        let config = ServerConfig::parse(path, &text)?;
        Ok((Self { path: path.to_owned(), last: blake3::hash(text.as_bytes()) }, config))
    }

    /// The hash of what the file holds, where that is not what was last read.
    ///
    /// # Errors
    /// `invalid_input` for a file that cannot be read.
    pub(crate) async fn changed(&self) -> Result<Option<blake3::Hash>> {
        let hash = blake3::hash(read(&self.path).await?.as_bytes());
        Ok((hash != self.last).then_some(hash))
    }

    /// What the file says now.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(crate) async fn read(&mut self) -> Result<ServerConfig> {
        let text = read(&self.path).await?;
        self.last = blake3::hash(text.as_bytes());
        ServerConfig::parse(&self.path, &text)
    }
}

async fn read(path: &Path) -> Result<String> {
    tokio::fs::read_to_string(path).await.map_err(|error| unusable(path).with_source(error))
}

pub(super) fn unusable(path: &Path) -> Error {
    Error::new(ErrorKind::InvalidInput, "read the configuration").with_context("file", path.display())
}
