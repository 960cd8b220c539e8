use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read};
use std::path::Path;

use agentscale_core::{Error, ErrorKind, Result};

use super::parse::MAX_BYTES;
use super::{Configuration, OPERATION};

/// What a file is written in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    Toml,
    Yaml,
}

impl Format {
    /// As the ending of its name tells.
    pub(super) fn of(path: &Path) -> Result<Self> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("toml") => Ok(Self::Toml),
            Some("yaml" | "yml") => Ok(Self::Yaml),
            _ => Err(in_file(
                Error::new(ErrorKind::InvalidInput, OPERATION)
                    .with_context("reason", "its name ends in none of .toml, .yaml, .yml"),
                path,
            )),
        }
    }

    pub(super) fn parse(self, text: &str) -> Result<Configuration> {
        match self {
            Self::Toml => Configuration::from_toml(text),
            Self::Yaml => Configuration::from_yaml(text),
        }
    }
}

/// What a file says, and no more than what is too long.
pub(super) async fn read(path: &Path) -> Result<String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_now(&path)).await;
    read.map_err(|error| Error::new(ErrorKind::Internal, OPERATION).with_source(error))?
}

fn read_now(path: &Path) -> Result<String> {
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            IoErrorKind::NotFound | IoErrorKind::NotADirectory => ErrorKind::NotFound,
            IoErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            IoErrorKind::InvalidData => ErrorKind::InvalidInput,
            _ => ErrorKind::Unavailable,
        };
        in_file(Error::new(kind, OPERATION).with_source(error), path)
    };
    // Before it is opened: opening a pipe waits for who writes it.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        let error = Error::new(ErrorKind::InvalidInput, OPERATION).with_context("reason", "no file");
        return Err(in_file(error, path));
    }
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(MAX_BYTES as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

pub(super) fn in_file(error: Error, path: &Path) -> Error {
    error.with_context("file", path.display())
}
