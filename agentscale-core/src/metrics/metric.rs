use std::fmt;

use crate::{Error, ErrorKind, Result};

/// What a metric is called and what it means; usually a constant beside the code that records it.
///
/// The name is what a dashboard asks for. Counters end in `_total`; before that stands the unit, where there
/// is one: `turn_seconds`, `sent_bytes_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Unit,
}

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// A number of things.
    Count,
    /// Time: recorded in nanoseconds, exported in seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// A [`Counter`](super::Counter).
    Counter,
    /// A [`Gauge`](super::Gauge).
    Gauge,
    /// A [`Histogram`](super::Histogram).
    Histogram,
}

impl Metric {
    /// A number of things, with a line of help.
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: Unit::Count }
    }

    /// The same in seconds; values are recorded in nanoseconds.
    #[must_use]
    pub const fn in_seconds(self) -> Self {
        Self { unit: Unit::Seconds, ..self }
    }

    /// The same in bytes.
    #[must_use]
    pub const fn in_bytes(self) -> Self {
        Self { unit: Unit::Bytes, ..self }
    }

    /// The name without the `_total` of counters: the name of the family in OpenMetrics.
    pub(super) fn family_name(&self) -> &'static str {
        self.name.strip_suffix(TOTAL).unwrap_or(self.name)
    }

    pub(super) fn check(&self, kind: MetricKind) -> Result<()> {
        let is_counter = kind == MetricKind::Counter;
        let named_by_unit = self.unit.suffix().is_none_or(|unit| self.family_name().ends_with(unit));
        if is_name(self.name) && self.name.ends_with(TOTAL) == is_counter && named_by_unit {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, "name a metric")
            .with_context("name", self.name)
            .with_context("kind", kind)
            .with_context("unit", self.unit))
    }
}

impl Unit {
    pub(super) fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Count => None,
            Self::Seconds => Some("_seconds"),
            Self::Bytes => Some("_bytes"),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suffix().map_or("count", |suffix| &suffix[1..]))
    }
}

impl fmt::Display for MetricKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

const TOTAL: &str = "_total";

/// A name that OpenMetrics can carry, for metrics and labels alike.
pub(super) fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !name.starts_with("__");
    starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
