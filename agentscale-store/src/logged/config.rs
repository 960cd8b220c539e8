use std::time::Duration;

use agentscale_core::lease::LeaseWatch;
use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::sqlite::{QueueConfig, SqliteConfig};

/// How a [`LoggedCheckpointStore`](super::LoggedCheckpointStore) works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LoggedCheckpointConfig {
    /// The file of the log and its connections.
    pub file: SqliteConfig,
    /// The queue of the log's writer.
    pub queue: QueueConfig,
    /// Commits that wait for the shared store, at most; the next one waits for room. Default 10,000.
    pub commits: usize,
    /// Their bytes, at most; one larger commit is let in alone. Default 64 MiB.
    pub bytes: usize,
    /// How long a commit may wait for the shared store before its agent does, and how much of the lease has to be left
    /// for an acknowledgement by the log. Default 10 s.
    pub flush_bound: Duration,
    /// How long the shared store may take for one commit. Default 5 s.
    pub flush_timeout: Duration,
    /// Commits that are on their way to the shared store at a time, of different threads. Default 64.
    pub flushes: usize,
    /// How long a thread that is blocked waits between two tries. Default 5 s.
    pub blocked_pause: Duration,
    /// Commits that were left behind by takeovers and are kept for the host to look at, at most; the oldest go first.
    /// Default 20,000: what a full log leaves behind, twice.
    pub orphans: usize,
    /// Threads whose tip is remembered, at most; the commits of others go to the shared store. Default 100,000.
    pub remembered_threads: usize,
}

impl Default for LoggedCheckpointConfig {
    fn default() -> Self {
        Self {
            file: SqliteConfig::default(),
            queue: QueueConfig::default(),
            commits: 10_000,
            bytes: 64 << 20,
            flush_bound: Duration::from_secs(10),
            flush_timeout: Duration::from_secs(5),
            flushes: 64,
            blocked_pause: Duration::from_secs(5),
            orphans: 20_000,
            remembered_threads: 100_000,
        }
    }
}

impl LoggedCheckpointConfig {
    /// # Errors
    /// `invalid_input` for a lease that is not longer than the flush bound.
    pub(super) fn check(&self, lease: &LeaseWatch) -> Result<()> {
        if lease.ttl() > self.flush_bound {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, "log checkpoints")
            .with_context("reason", "the lease is not longer than the flush bound")
            .with_context("lease", lease.key())
            .with_context("ttl", format!("{:?}", lease.ttl()))
            .with_context("flush_bound", format!("{:?}", self.flush_bound)))
    }
}
