use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How an observation log buffers and writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ObservationLogConfig {
    /// Observations that wait to be written, at most. Default 65,536.
    pub capacity: usize,
    /// Their bytes in memory, at most. Default 64 MiB.
    pub max_bytes: usize,
    /// Observations after which a batch is written, and which it has while the store keeps up. Default 100.
    pub batch: usize,
    /// The largest batch that it grows to. Default 5,000.
    pub max_batch: usize,
    /// How long an observation waits for its batch. Default 1 s.
    pub interval: Duration,
    /// How long closing tries to write what is left; the rest is counted as dropped. Default 10 s.
    pub close_within: Duration,
    /// How often months are made and retired. Default 1 h.
    pub maintenance: Duration,
}

impl Default for ObservationLogConfig {
    fn default() -> Self {
        Self {
            capacity: 65_536,
            max_bytes: 64 << 20,
            batch: 100,
            max_batch: 5_000,
            interval: Duration::from_secs(1),
            close_within: Duration::from_secs(10),
            maintenance: Duration::from_secs(3_600),
        }
    }
}
