use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Secret, SecretSource};
use crate::metrics::Metrics;
use crate::{Error, ErrorKind, Result};

mod config;
mod entry;
mod reader;
mod stats;

pub use config::CachedSecretsConfig;
pub use stats::CachedSecretsStats;

use entry::{Entry, View};
use stats::Counts;

/// Keeps the secrets of a source for a minute, and reads them anew before that is over, so that only the first call
/// waits (row K4g).
///
/// While the source fails the last secret is given for another [`CachedSecretsConfig::keep_ms`], whatever its error is, and
/// counted; behind that the error is. However many ask for a secret, it is read once at a time. A secret that was
/// [rejected](SecretSource::rejected) is read anew for the next call, which waits for it; twice within
/// [`CachedSecretsConfig::retry_ms`] it is not.
///
/// A secret in use has a task that reads it. The task ends when nobody asked for
/// [`CachedSecretsConfig::forget_after_ms`], and with the last clone of this. Asking needs a tokio runtime.
///
/// ```
/// use agentscale_core::secrets::{CachedSecrets, CachedSecretsConfig, FixedSecrets};
/// use agentscale_core::SecretSource;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentscale_core::Result<()> {
/// let source = FixedSecrets::new().with("openai", "sk-7");
/// let secrets = CachedSecrets::new(source, &CachedSecretsConfig::new())?;
/// for _ in 0..10 {
///     assert_eq!(secrets.secret("openai").await?.expose(), "sk-7");
/// }
/// assert_eq!(secrets.stats().reads, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CachedSecrets {
    shared: Arc<Shared>,
}

struct Shared {
    source: Arc<dyn SecretSource>,
    config: CachedSecretsConfig,
    counts: Counts,
    entries: Mutex<HashMap<Arc<str>, Arc<Entry>>>,
}

impl CachedSecrets {
    /// Keeps what `source` gives.
    ///
    /// # Errors
    /// `invalid_input` for a time or a number of zero.
    pub fn new(source: impl SecretSource, config: &CachedSecretsConfig) -> Result<Self> {
        Self::recording(source, config, &Metrics::new())
    }

    /// The same, which counts as `agentscale_secret_reads_total`, `agentscale_secret_read_failures_total` and
    /// `agentscale_secret_stale_total`.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and where `metrics` has other metrics of these names.
    pub fn recording(
        source: impl SecretSource,
        config: &CachedSecretsConfig,
        metrics: &Metrics,
    ) -> Result<Self> {
        config.check()?;
        let (source, counts) = (Arc::new(source), Counts::new(metrics)?);
        let shared = Shared { source, config: config.clone(), counts, entries: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What it has done so far.
    pub fn stats(&self) -> CachedSecretsStats {
        let names = self.shared.entries().values().filter(|entry| entry.is_read()).count();
        self.shared.counts.read(names)
    }
}

impl Shared {
    fn entries(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of `name`, new where there is none that is read.
    fn entry(&self, name: &str) -> Arc<Entry> {
        let mut entries = self.entries();
        if let Some(entry) = entries.get(name).filter(|entry| entry.is_read()) {
            entry.touch();
            return Arc::clone(entry);
        }
        if entries.len() >= self.config.max_names {
            let oldest =
                entries.iter().min_by_key(|(_, entry)| entry.made_at()).map(|(name, _)| Arc::clone(name));
            oldest.and_then(|name| entries.remove(&name));
        }
        let name: Arc<str> = name.into();
        let entry = Arc::new(reader::start(self, Arc::clone(&name)));
        entries.insert(name, Arc::clone(&entry));
        entry
    }

    /// A secret that may still be given, or what the source said instead.
    fn judge(&self, view: &View) -> Result<Secret> {
        if let Some((secret, age)) = view.kept() {
            let is_stale = age >= self.config.ttl();
            if age < self.config.ttl() + self.config.keep() {
                if is_stale {
                    self.counts.stale.increment();
                }
                return Ok(secret);
            }
        }
        Err(view.error().unwrap_or_else(|| Error::new(ErrorKind::Unavailable, "read a secret")))
    }
}

#[async_trait]
impl SecretSource for CachedSecrets {
    async fn secret(&self, name: &str) -> Result<Secret> {
        for _ in 0..2 {
            if let Some(view) = self.shared.entry(name).view().await {
                return self.shared.judge(&view);
            }
            // Its reader has ended, with a runtime of before or for want of use: there will be another.
        }
        Err(Error::new(ErrorKind::Internal, "read a secret").with_context("reason", "the source panicked"))
    }

    fn rejected(&self, name: &str, secret: &Secret) {
        let entry = self.shared.entries().get(name).map(Arc::clone);
        if let Some(entry) = entry {
            entry.reject(secret);
        }
        self.shared.source.rejected(name, secret);
    }
}

impl fmt::Debug for CachedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedSecrets")
            .field("source", &self.shared.source)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
