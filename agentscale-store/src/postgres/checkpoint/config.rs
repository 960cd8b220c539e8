use agentscale_core::checkpoint::{RetentionPolicy, StateLimits};
use serde::{Deserialize, Serialize};

use crate::group::QueueConfig;
use crate::postgres::PostgresConfig;

/// How a [`PostgresCheckpointStore`](super::PostgresCheckpointStore) works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PostgresCheckpointConfig {
    /// The database and its connections.
    pub database: PostgresConfig,
    /// Connections that write, each for its share of the threads. Default 2.
    pub writers: u32,
    /// The queue of each writer: what a crash can take of *buffered* commits is one queue and one batch a writer.
    pub queue: QueueConfig,
    /// Limits in bytes.
    pub limits: StateLimits,
    /// What stays of each thread; nothing is pruned unasked where `None`. Default: the default policy.
    pub retention: Option<RetentionPolicy>,
    /// Threads whose fields are remembered by name, at most. Default 100,000.
    pub remembered_threads: usize,
}

impl Default for PostgresCheckpointConfig {
    fn default() -> Self {
        Self {
            database: PostgresConfig::default(),
            writers: 2,
            queue: QueueConfig::default(),
            limits: StateLimits::default(),
            retention: Some(RetentionPolicy::default()),
            remembered_threads: 100_000,
        }
    }
}
