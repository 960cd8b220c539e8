use agentscale_core::checkpoint::{RetentionPolicy, StateLimits};
use serde::{Deserialize, Serialize};

use crate::sqlite::{QueueConfig, SqliteConfig};

/// How a [`SqliteCheckpointStore`](super::SqliteCheckpointStore) works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SqliteCheckpointConfig {
    /// The file and its connections.
    pub file: SqliteConfig,
    /// The queue of the writer: what a crash can take of *buffered* commits is one queue and one batch.
    pub queue: QueueConfig,
    /// Limits in bytes.
    pub limits: StateLimits,
    /// What stays of each thread; nothing is pruned unasked where `None`. Default: the default policy.
    pub retention: Option<RetentionPolicy>,
    /// Threads whose epoch and tip the writer remembers, at most. Default 100,000.
    pub remembered_threads: usize,
}

impl Default for SqliteCheckpointConfig {
    fn default() -> Self {
        Self {
            file: SqliteConfig::default(),
            queue: QueueConfig::default(),
            limits: StateLimits::default(),
            retention: Some(RetentionPolicy::default()),
            remembered_threads: 100_000,
        }
    }
}
