use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// How long [`CachedSecrets`](super::CachedSecrets) keeps what it read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CachedSecretsConfig {
    /// How long a secret is given without a new look at its source, in milliseconds; 60,000 (row K4g). It is read anew
    /// behind four fifths of that.
    pub ttl_ms: u64,
    /// How long beyond that the last secret is given while its source fails, in milliseconds; 3,600,000.
    pub keep_ms: u64,
    /// How long after a failure a secret is read again, in milliseconds; 1,000.
    pub retry_ms: u64,
    /// How long the source may take, in milliseconds; 10,000.
    pub read_timeout_ms: u64,
    /// How long a secret that nobody asks for is read, in milliseconds; 600,000.
    pub forget_after_ms: u64,
    /// How many secrets are kept; 1,000. Beyond that the one goes that was asked for first.
    pub max_names: usize,
}

impl Default for CachedSecretsConfig {
    fn default() -> Self {
        Self {
            ttl_ms: 60_000,
            keep_ms: 3_600_000,
            retry_ms: 1_000,
            read_timeout_ms: 10_000,
            forget_after_ms: 600_000,
            max_names: 1_000,
        }
    }
}

impl CachedSecretsConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long a secret is given without a new look at its source.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl_ms = millis(ttl);
        self
    }

    /// Sets how long beyond that the last secret is given while its source fails.
    #[must_use]
    pub fn with_keep(mut self, keep: Duration) -> Self {
        self.keep_ms = millis(keep);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let zero = [
            ("ttl_ms", self.ttl_ms == 0),
            ("retry_ms", self.retry_ms == 0),
            ("read_timeout_ms", self.read_timeout_ms == 0),
            ("forget_after_ms", self.forget_after_ms == 0),
            ("max_names", self.max_names == 0),
        ];
        match zero.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((field, _)) => Err(Error::new(ErrorKind::InvalidInput, "set up a cache of secrets")
                .with_context("field", field)
                .with_context("reason", "zero")),
            None => Ok(()),
        }
    }

    pub(super) fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }

    pub(super) fn keep(&self) -> Duration {
        Duration::from_millis(self.keep_ms)
    }

    pub(super) fn retry(&self) -> Duration {
        Duration::from_millis(self.retry_ms)
    }

    pub(super) fn read_timeout(&self) -> Duration {
        Duration::from_millis(self.read_timeout_ms)
    }

    pub(super) fn forget_after(&self) -> Duration {
        Duration::from_millis(self.forget_after_ms)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
