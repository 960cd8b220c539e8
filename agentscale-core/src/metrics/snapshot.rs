use super::{HistogramSnapshot, Metric, MetricKind, Unit};

/// What a registry held, ordered by name and label values.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MetricsSnapshot {
    /// One for each metric.
    pub families: Vec<FamilySnapshot>,
}

/// A metric with all its series.
#[derive(Clone, Debug)]
pub struct FamilySnapshot {
    pub(super) metric: Metric,
    pub(super) kind: MetricKind,
    pub(super) series: Vec<SeriesSnapshot>,
}

/// The number of one combination of label values.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SeriesSnapshot {
    /// Names and values.
    pub labels: Vec<(&'static str, String)>,
    /// The number.
    pub value: Value,
}

/// The number of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// Of a counter.
    Counter(u64),
    /// Of a gauge.
    Gauge(i64),
    /// Of a histogram.
    Histogram(HistogramSnapshot),
}

impl MetricsSnapshot {
    /// The number of a series, given its metric's name and its label values in the order of registration.
    pub fn value(&self, name: &str, label_values: &[&str]) -> Option<&Value> {
        let family = self.families.iter().find(|family| family.name() == name)?;
        let is_asked = |series: &&SeriesSnapshot| {
            series.labels.iter().map(|(_, value)| value.as_str()).eq(label_values.iter().copied())
        };
        family.series.iter().find(is_asked).map(|series| &series.value)
    }
}

impl FamilySnapshot {
    /// The name.
    pub fn name(&self) -> &'static str {
        self.metric.name
    }

    /// The line of help.
    pub fn help(&self) -> &'static str {
        self.metric.help
    }

    /// The unit.
    pub fn unit(&self) -> Unit {
        self.metric.unit
    }

    /// The kind.
    pub fn kind(&self) -> MetricKind {
        self.kind
    }

    /// The series.
    pub fn series(&self) -> &[SeriesSnapshot] {
        &self.series
    }
}
