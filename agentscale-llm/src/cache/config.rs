use agentscale_core::Result;
use serde::{Deserialize, Serialize};

use crate::nonzero::nonzero;

/// How long and how much a [`ResponseCache`](super::ResponseCache) keeps (row O5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ResponseCacheConfig {
    /// How long an answer is given, in milliseconds; 600,000.
    pub ttl_ms: u64,
    /// How many bytes all answers may take; 64 MiB. The least used go first.
    pub max_bytes: u64,
    /// How long a request waits at most for the answer of another like it, in milliseconds; 30,000. Then it is asked too: a
    /// stream whose reader stands still holds up nobody for longer.
    pub max_wait_ms: u64,
    /// One of so many answers given from it is asked for anew in the background and compared: what is measured as
    /// [`staleness`](super::ResponseCacheStats::staleness). 0, which is none; each costs a call of the tenant's.
    pub check_one_in: u32,
}

impl Default for ResponseCacheConfig {
    fn default() -> Self {
        Self { ttl_ms: 600_000, max_bytes: 64 << 20, max_wait_ms: 30_000, check_one_in: 0 }
    }
}

impl ResponseCacheConfig {
    pub(super) fn check(&self) -> Result<()> {
        let fields = [("ttl_ms", self.ttl_ms), ("max_bytes", self.max_bytes)];
        nonzero(OPERATION, fields.map(|(field, value)| (field, Some(value))))
    }
}

/// What errors say was attempted.
pub(super) const OPERATION: &str = "set up a response cache";
