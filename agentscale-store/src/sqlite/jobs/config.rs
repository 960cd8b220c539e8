use std::time::Duration;

use agentscale_core::checkpoint::Durability;
use agentscale_core::jobs::JobLimits;
use serde::{Deserialize, Serialize};

use crate::sqlite::{QueueConfig, SqliteConfig};

/// How a [`SqliteJobQueue`](super::SqliteJobQueue) works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SqliteJobConfig {
    /// The file and its connections.
    pub file: SqliteConfig,
    /// The operations that wait for the writer.
    pub operations: QueueConfig,
    /// How much the queue takes.
    pub limits: JobLimits,
    /// What an acknowledged enqueue, claim or finish has survived: `disk`, or `process` for anything less. Default `disk`.
    pub level: Durability,
    /// How often a waiting worker looks for what other processes enqueued. Default 10 ms.
    pub poll: Duration,
}

impl Default for SqliteJobConfig {
    fn default() -> Self {
        Self {
            file: SqliteConfig::default(),
            operations: QueueConfig::default(),
            limits: JobLimits::default(),
            level: Durability::Disk,
            poll: Duration::from_millis(10),
        }
    }
}
