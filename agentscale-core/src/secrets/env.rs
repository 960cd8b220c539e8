use std::env::{self, VarError};

use async_trait::async_trait;

use super::{Secret, SecretSource};
use crate::{Error, ErrorKind, Result};

const OPERATION: &str = "read a secret of the environment";

/// Secrets of the process's environment, by the names of its variables.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvSecrets;

#[async_trait]
impl SecretSource for EnvSecrets {
    async fn secret(&self, name: &str) -> Result<Secret> {
        let refused = |kind, reason| {
            let error = Error::new(kind, OPERATION).with_context("name", name.escape_debug());
            Err(error.with_context("reason", reason))
        };
        if name.is_empty() || name.contains(['=', '\0']) {
            return refused(ErrorKind::InvalidInput, "no name of a variable");
        }
        match env::var(name) {
            Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
            Ok(_) | Err(VarError::NotPresent) => refused(ErrorKind::NotFound, "not set"),
            Err(VarError::NotUnicode(_)) => refused(ErrorKind::Corrupt, "no text"),
        }
    }
}
