use std::time::Duration;

use agentscale::core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// What clients may take of the server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// The largest request body; 32 MiB, for images in base64.
    pub(crate) max_body_bytes: usize,
    /// How much the bodies of all requests under way may hold together, at least the largest one; 512 MiB. A tenant
    /// with several holds no more than is left for the others. A request that finds no room is told to come again.
    pub(crate) max_bodies_bytes: usize,
    /// The largest head of a request, its first line included; 16 KiB.
    pub(crate) max_header_bytes: usize,
    /// How long a client may take for the head, and how long a connection may be idle; 30,000.
    pub(crate) header_timeout_ms: u64,
    /// How long a client may take for the body; 60,000.
    pub(crate) body_timeout_ms: u64,
    /// How long a client may take nothing of what it is sent before it counts as gone; 60,000.
    pub(crate) stall_timeout_ms: u64,
    /// Connections at a time; those beyond wait to be accepted; 10,000.
    pub(crate) max_connections: usize,
    /// How long an answer may take where `x-request-timeout-ms` does not say; 600,000.
    pub(crate) request_timeout_ms: u64,
    /// The most that `x-request-timeout-ms` may ask for; 3,600,000.
    pub(crate) max_request_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 32 << 20,
            max_bodies_bytes: 512 << 20,
            max_header_bytes: 16 << 10,
            header_timeout_ms: 30_000,
            body_timeout_ms: 60_000,
            stall_timeout_ms: 60_000,
            max_connections: 10_000,
            request_timeout_ms: 600_000,
            max_request_timeout_ms: 3_600_000,
        }
    }
}

impl Limits {
    /// # Errors
    /// `invalid_input` for a limit of zero, which would let nothing through, and for one that another one outdoes.
    pub(crate) fn check(&self) -> Result<()> {
        let fields = [
            ("max_body_bytes", self.max_body_bytes as u64),
            ("max_header_bytes", self.max_header_bytes as u64),
            ("header_timeout_ms", self.header_timeout_ms),
            ("body_timeout_ms", self.body_timeout_ms),
            ("stall_timeout_ms", self.stall_timeout_ms),
            ("max_connections", self.max_connections as u64),
            ("request_timeout_ms", self.request_timeout_ms),
            ("max_request_timeout_ms", self.max_request_timeout_ms),
        ];
        let refused = |field, reason| {
            Err(Error::new(ErrorKind::InvalidInput, "set up the server")
                .with_context("field", field)
                .with_context("reason", reason))
        };
        if let Some((field, _)) = fields.iter().find(|(_, value)| *value == 0) {
            return refused(*field, "zero");
        }
        if self.max_bodies_bytes < self.max_body_bytes {
            return refused("max_bodies_bytes", "below max_body_bytes");
        }
        Ok(())
    }

    /// How long an answer may take that asked for `millis`.
    pub(crate) fn request_timeout(&self, millis: Option<u64>) -> Duration {
        let asked = millis.unwrap_or(self.request_timeout_ms);
        Duration::from_millis(asked.min(self.max_request_timeout_ms))
    }

    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        Duration::from_millis(self.stall_timeout_ms)
    }
}
