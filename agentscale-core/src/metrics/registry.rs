mod family;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::family::{Family, Instrument};
use super::labels::{self, Labels};
use super::{Counter, Gauge, Histogram, Metric, MetricKind, MetricsSnapshot};
use crate::Result;

/// The metrics of one runtime. Clones are the same registry.
///
/// Asking for a metric a second time gives the same numbers. A metric has at most
/// [`Metrics::DEFAULT_MAX_SERIES`] combinations of label values, or what [`Metrics::with_max_series`] says;
/// further ones are recorded together under the value `other`, and each time that happens is counted in
/// `agentscale_metrics_overflow_total`.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    max_series: usize,
    overflow: Counter,
    families: Mutex<BTreeMap<&'static str, Family>>,
}

const OVERFLOW: Metric = Metric::new(
    "agentscale_metrics_overflow_total",
    "requests for a series beyond the limit of its metric, recorded as other",
);

impl Metrics {
    /// How many combinations of label values a metric can have.
    pub const DEFAULT_MAX_SERIES: usize = 256;

    /// An empty registry.
    pub fn new() -> Self {
        Self::with_limit(Self::DEFAULT_MAX_SERIES)
    }

    /// An empty registry whose metrics have at most so many combinations of label values each. A histogram
    /// takes 7.8 KB for each of them.
    pub fn with_max_series(max_series: NonZeroUsize) -> Self {
        Self::with_limit(max_series.get())
    }

    /// The counter of these label values. Keep it: asking takes a lock.
    ///
    /// # Errors
    ///
    /// `invalid_input` for a name or labels that cannot be exported (see [`Metric`]); `conflict` where the
    /// name is taken by a metric of another kind, unit or other label names.
    pub fn counter(&self, metric: &Metric, labels: Labels<'_>) -> Result<Counter> {
        match self.instrument(metric, MetricKind::Counter, labels)? {
            Instrument::Counter(counter) => Ok(counter),
            other => Err(family::taken(metric, other.kind())),
        }
    }

    /// The gauge of these label values. Keep it: asking takes a lock.
    ///
    /// # Errors
    ///
    /// Those of [`Metrics::counter`].
    pub fn gauge(&self, metric: &Metric, labels: Labels<'_>) -> Result<Gauge> {
        match self.instrument(metric, MetricKind::Gauge, labels)? {
            Instrument::Gauge(gauge) => Ok(gauge),
            other => Err(family::taken(metric, other.kind())),
        }
    }

    /// The histogram of these label values. Keep it: asking takes a lock.
    ///
    /// # Errors
    ///
    /// Those of [`Metrics::counter`].
    pub fn histogram(&self, metric: &Metric, labels: Labels<'_>) -> Result<Histogram> {
        match self.instrument(metric, MetricKind::Histogram, labels)? {
            Instrument::Histogram(histogram) => Ok(histogram),
            other => Err(family::taken(metric, other.kind())),
        }
    }

    /// What was recorded so far. Each number is read by itself: two of them may differ by what was recorded
    /// between the readings.
    pub fn snapshot(&self) -> MetricsSnapshot {
        // The numbers are read after the lock was given back: a registry full of histograms takes a while.
        let families: Vec<Family> = self.families().values().cloned().collect();
        MetricsSnapshot { families: families.iter().map(Family::snapshot).collect() }
    }

    fn with_limit(max_series: usize) -> Self {
        let overflow = Counter::default();
        let families =
            BTreeMap::from([(OVERFLOW.family_name(), Family::of_counter(OVERFLOW, overflow.clone()))]);
        Self { shared: Arc::new(Shared { max_series, overflow, families: Mutex::new(families) }) }
    }

    fn instrument(&self, metric: &Metric, kind: MetricKind, labels: Labels<'_>) -> Result<Instrument> {
        metric.check(kind)?;
        labels::check(labels)?;
        let mut families = self.families();
        let family =
            families.entry(metric.family_name()).or_insert_with(|| Family::new(*metric, kind, labels));
        family.check(metric, kind, labels)?;
        if let Some(instrument) = family.find(labels) {
            return Ok(instrument);
        }
        if labels::too_long(labels) || family.is_full(self.shared.max_series) {
            self.shared.overflow.increment();
            return Ok(family.find_or_add(labels::other(labels)));
        }
        Ok(family.find_or_add(labels::values(labels)))
    }

    fn families(&self) -> MutexGuard<'_, BTreeMap<&'static str, Family>> {
        // Entries are whole whenever a panic could strike, so a poisoned map is a usable one.
        self.shared.families.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.families().keys().copied().collect();
        f.debug_struct("Metrics").field("names", &names).finish_non_exhaustive()
    }
}
