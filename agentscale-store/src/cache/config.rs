use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::CachePolicies;

/// How much a [`NodeCache`](super::NodeCache) holds, for how long, and how old what it gives may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CacheConfig {
    /// Bytes of all entries in memory, as they are encoded and with what is kept beside them, at most. The least recently
    /// used go first. Default 100 MiB.
    pub bytes: u64,
    /// How long each type of data is held. Default: the document's table.
    pub policies: CachePolicies,
    /// How often Redis is asked whether a message was missed. Default 500 ms.
    pub check_every: Duration,
    /// How long after a change an entry in memory can still be given although its message was lost, while Redis answers. At
    /// least twice `check_every`. Default 2 s.
    pub stale_at_most: Duration,
    /// The same while Redis does not answer. Default 10 s.
    pub stale_alone: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            bytes: 100 << 20,
            policies: CachePolicies::default(),
            check_every: Duration::from_millis(500),
            stale_at_most: Duration::from_secs(2),
            stale_alone: Duration::from_secs(10),
        }
    }
}

impl CacheConfig {
    pub(super) fn check(&self) -> Result<()> {
        holds(!self.check_every.is_zero(), "check_every")?;
        holds(
            self.check_every.checked_mul(2).is_some_and(|twice| twice <= self.stale_at_most),
            "stale_at_most",
        )
    }
}

/// What errors say was attempted.
pub(super) const OPERATION: &str = "set up a cache";

pub(super) fn holds(holds: bool, field: &'static str) -> Result<()> {
    if holds {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, OPERATION).with_context("field", field))
}
