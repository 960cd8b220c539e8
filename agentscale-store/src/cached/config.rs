use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much a [`CachedCheckpointStore`](super::CachedCheckpointStore) holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CheckpointCacheConfig {
    /// Bytes of states with their names, at most; a larger state is not held. Default 100 MiB.
    pub bytes: u64,
    /// How long a state is held that nobody asks for. It frees memory; nothing grows stale. Default 5 min.
    pub idle: Duration,
    /// Threads whose tip is remembered, at most. Default 100,000.
    pub remembered_threads: u64,
}

impl Default for CheckpointCacheConfig {
    fn default() -> Self {
        Self { bytes: 100 << 20, idle: Duration::from_secs(300), remembered_threads: 100_000 }
    }
}
