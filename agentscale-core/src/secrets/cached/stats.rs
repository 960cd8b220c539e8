use crate::Result;
use crate::metrics::{Counter, Metric, Metrics};

const READS: Metric = Metric::new("agentscale_secret_reads_total", "reads of a source of secrets");
const FAILURES: Metric =
    Metric::new("agentscale_secret_read_failures_total", "reads of a secret that failed");
const STALE: Metric = Metric::new(
    "agentscale_secret_stale_total",
    "secrets that were given longer than meant, as their source failed",
);

/// What [`CachedSecrets`](super::CachedSecrets) has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedSecretsStats {
    /// How often the source was asked.
    pub reads: u64,
    /// How often it failed.
    pub failures: u64,
    /// How often a secret was given beyond its time.
    pub stale: u64,
    /// How many secrets are kept.
    pub names: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Counts {
    pub(super) reads: Counter,
    pub(super) failures: Counter,
    pub(super) stale: Counter,
}

impl Counts {
    pub(super) fn new(metrics: &Metrics) -> Result<Self> {
        Ok(Self {
            reads: metrics.counter(&READS, &[])?,
            failures: metrics.counter(&FAILURES, &[])?,
            stale: metrics.counter(&STALE, &[])?,
        })
    }

    pub(super) fn read(&self, names: usize) -> CachedSecretsStats {
        CachedSecretsStats {
            reads: self.reads.value(),
            failures: self.failures.value(),
            stale: self.stale.value(),
            names,
        }
    }
}
