use std::time::Duration;

use agentscale_core::jobs::{DEFAULT_TTL, MAX_TTL, MIN_TTL};
use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Options of a [`JobWorker`](super::JobWorker).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobWorkerConfig {
    /// Jobs that run at once: 32 by default.
    pub concurrency: usize,
    /// Jobs that are claimed and not begun, so that none waits for the queue when another one ends: 32 by default.
    pub buffer: usize,
    /// Within this time the jobs of a worker that died run again: 15 s by default, 2 s at least. Three heartbeats fall
    /// into it.
    pub ttl: Duration,
    /// How long a run may take whose job says nothing: 1 hour by default.
    pub run_timeout: Duration,
    /// How long a handler that is stopped may go on before its future is dropped: 1 s by default.
    pub stop_grace: Duration,
    /// How often the queue is asked to tidy up: 1 s by default.
    pub maintain_interval: Duration,
}

impl Default for JobWorkerConfig {
    fn default() -> Self {
        Self {
            concurrency: 32,
            buffer: 32,
            ttl: DEFAULT_TTL,
            run_timeout: Duration::from_secs(60 * 60),
            stop_grace: Duration::from_secs(1),
            maintain_interval: Duration::from_secs(1),
        }
    }
}

impl JobWorkerConfig {
    pub(super) fn check(&self) -> Result<()> {
        let refused = |option: &'static str| {
            Err(Error::new(ErrorKind::InvalidInput, "start job worker").with_context("option", option))
        };
        match self {
            _ if self.concurrency == 0 => refused("concurrency"),
            _ if !(MIN_TTL..=MAX_TTL).contains(&self.ttl) => refused("ttl"),
            _ if self.run_timeout.is_zero() => refused("run_timeout"),
            _ if self.maintain_interval.is_zero() => refused("maintain_interval"),
            _ => Ok(()),
        }
    }

    /// What is asked of the queue: a little less, for the time until somebody looks.
    pub(super) fn claim_ttl(&self) -> Duration {
        (self.ttl * 9 / 10).max(MIN_TTL)
    }
}
