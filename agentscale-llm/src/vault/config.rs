use std::fmt;

use serde::Deserialize;

use crate::http::shown_url;

/// How [`VaultSecrets`](super::VaultSecrets) reaches its server.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct VaultConfig {
    /// The address above `/v1`; `https://127.0.0.1:8200`.
    pub address: String,
    /// The namespace of the mounts, as Vault Enterprise has them; none.
    pub namespace: Option<String>,
    /// How long a call may take, in milliseconds; 10,000.
    pub timeout_ms: u64,
}

impl Default for VaultConfig {
    fn default() -> Self {
        Self { address: "https://127.0.0.1:8200".to_owned(), namespace: None, timeout_ms: 10_000 }
    }
}

impl VaultConfig {
    /// The Vault on this machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address above `/v1`.
    #[must_use]
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// Sets the namespace of the mounts.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }
}

impl fmt::Debug for VaultConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultConfig")
            .field("address", &shown_url(&self.address))
            .field("namespace", &self.namespace)
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}
