use std::time::Duration;

use agentscale_core::jobs::JobLimits;
use serde::{Deserialize, Serialize};

use crate::group::QueueConfig;
use crate::postgres::PostgresConfig;

/// How a [`PostgresJobQueue`](super::PostgresJobQueue) works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PostgresJobConfig {
    /// The database and its connections.
    pub database: PostgresConfig,
    /// Connections that add jobs, and as many that finish runs. Default 2.
    pub writers: u32,
    /// The queue of each of them.
    pub queue: QueueConfig,
    /// Limits of what is taken.
    pub limits: JobLimits,
    /// Jobs after which the ring of segments turns: what a held snapshot keeps of finished ones is a few times this number
    /// at most. Default 32,768.
    pub segment_jobs: u32,
    /// The time after which it turns in any case. Default 60 s.
    pub segment_age: Duration,
    /// How long a wait is at first before it looks again, where notifications do not arrive. Default 10 ms.
    pub busy_poll: Duration,
    /// How long it is at most. Default 250 ms.
    pub idle_poll: Duration,
}

impl Default for PostgresJobConfig {
    fn default() -> Self {
        Self {
            database: PostgresConfig::default(),
            writers: 2,
            queue: QueueConfig::default(),
            limits: JobLimits::default(),
            segment_jobs: 32_768,
            segment_age: Duration::from_secs(60),
            busy_poll: Duration::from_millis(10),
            idle_poll: Duration::from_millis(250),
        }
    }
}
