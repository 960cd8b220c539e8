//! All series of one metric.

use std::collections::BTreeMap;

use crate::metrics::labels::{LabelValues, Labels, values};
use crate::metrics::{Counter, FamilySnapshot, Gauge, Histogram, Metric, MetricKind, SeriesSnapshot, Value};
use crate::{Error, ErrorKind, Result};

#[derive(Clone, Debug)]
pub(super) struct Family {
    metric: Metric,
    kind: MetricKind,
    label_names: Box<[&'static str]>,
    series: BTreeMap<LabelValues, Instrument>,
}

#[derive(Clone, Debug)]
pub(super) enum Instrument {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Family {
    pub(super) fn new(metric: Metric, kind: MetricKind, labels: Labels<'_>) -> Self {
        let label_names = labels.iter().map(|(name, _)| *name).collect();
        Self { metric, kind, label_names, series: BTreeMap::new() }
    }

    pub(super) fn of_counter(metric: Metric, counter: Counter) -> Self {
        let mut family = Self::new(metric, MetricKind::Counter, &[]);
        family.series.insert(values(&[]), Instrument::Counter(counter));
        family
    }

    pub(super) fn check(&self, metric: &Metric, kind: MetricKind, labels: Labels<'_>) -> Result<()> {
        let same_labels = self.label_names.iter().copied().eq(labels.iter().map(|(name, _)| *name));
        if self.kind == kind && self.metric.unit == metric.unit && same_labels {
            return Ok(());
        }
        Err(taken(&self.metric, self.kind).with_context("labels", self.label_names.join(",")))
    }

    pub(super) fn is_full(&self, max_series: usize) -> bool {
        self.series.len() >= max_series
    }

    pub(super) fn find(&self, labels: Labels<'_>) -> Option<Instrument> {
        self.series.get(&values(labels)).cloned()
    }

    pub(super) fn find_or_add(&mut self, values: LabelValues) -> Instrument {
        self.series.entry(values).or_insert_with(|| Instrument::new(self.kind)).clone()
    }

    pub(super) fn snapshot(&self) -> FamilySnapshot {
        let series = |(values, instrument): (&LabelValues, &Instrument)| SeriesSnapshot {
            labels: self.label_names.iter().copied().zip(values.iter().map(ToString::to_string)).collect(),
            value: instrument.read(),
        };
        FamilySnapshot {
            metric: self.metric,
            kind: self.kind,
            series: self.series.iter().map(series).collect(),
        }
    }
}

impl Instrument {
    pub(super) fn kind(&self) -> MetricKind {
        match self {
            Self::Counter(_) => MetricKind::Counter,
            Self::Gauge(_) => MetricKind::Gauge,
            Self::Histogram(_) => MetricKind::Histogram,
        }
    }

    fn new(kind: MetricKind) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter(Counter::default()),
            MetricKind::Gauge => Self::Gauge(Gauge::default()),
            MetricKind::Histogram => Self::Histogram(Histogram::default()),
        }
    }

    fn read(&self) -> Value {
        match self {
            Self::Counter(counter) => Value::Counter(counter.value()),
            Self::Gauge(gauge) => Value::Gauge(gauge.value()),
            Self::Histogram(histogram) => Value::Histogram(histogram.snapshot()),
        }
    }
}

pub(super) fn taken(metric: &Metric, kind: MetricKind) -> Error {
    Error::new(ErrorKind::Conflict, "register a metric")
        .with_context("name", metric.name)
        .with_context("registered_kind", kind)
        .with_context("registered_unit", metric.unit)
}
