use std::collections::HashMap;

use async_trait::async_trait;

use super::{Secret, SecretSource};
use crate::{Error, ErrorKind, Result};

/// Secrets that the host gives by itself.
#[derive(Clone, Debug, Default)]
pub struct FixedSecrets {
    secrets: HashMap<String, Secret>,
}

impl FixedSecrets {
    /// No secrets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, secret: impl Into<String>) -> Self {
        self.secrets.insert(name.into(), Secret::new(secret));
        self
    }
}

#[async_trait]
impl SecretSource for FixedSecrets {
    async fn secret(&self, name: &str) -> Result<Secret> {
        let refused = |kind| Error::new(kind, "find a secret").with_context("name", name.escape_debug());
        if name.is_empty() {
            return Err(refused(ErrorKind::InvalidInput));
        }
        let known = self.secrets.get(name).filter(|secret| !secret.expose().is_empty());
        known.cloned().ok_or_else(|| refused(ErrorKind::NotFound))
    }
}
