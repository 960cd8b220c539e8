use std::time::Duration;

use agentscale_core::Result;
use serde::{Deserialize, Serialize};

use crate::nonzero::nonzero;

/// How a provider holds its connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// How long a connection may take to be made, in milliseconds; 5,000.
    pub connect_timeout_ms: u64,
    /// How long a call may take, its stream included, in milliseconds; 600,000.
    pub timeout_ms: u64,
    /// How long an unused connection is kept, in milliseconds; 90,000.
    pub idle_connection_ms: u64,
    /// How many unused connections are kept to the server; 512. Under HTTP/2 one carries all calls.
    pub max_idle_connections: usize,
    /// Speaks HTTP/2 to a server without TLS too; `false`. With TLS the server chooses.
    pub http2_without_tls: bool,
    /// The longest body of an answer that comes in one piece, in bytes; 128 MiB.
    pub max_response_bytes: usize,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 5_000,
            timeout_ms: 600_000,
            idle_connection_ms: 90_000,
            max_idle_connections: 512,
            http2_without_tls: false,
            max_response_bytes: 128 << 20,
        }
    }
}

impl ConnectionConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long a call may take, its stream included.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Speaks HTTP/2 to a server without TLS too.
    #[must_use]
    pub fn with_http2_without_tls(mut self) -> Self {
        self.http2_without_tls = true;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let fields = [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("timeout_ms", self.timeout_ms),
            ("max_response_bytes", self.max_response_bytes as u64),
        ];
        nonzero("configure connections", fields.map(|(field, value)| (field, Some(value))))
    }
}
