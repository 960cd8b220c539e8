//! The text format of OpenMetrics 1.0, which Prometheus reads too:
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;

use super::{FamilySnapshot, HistogramSnapshot, MetricsSnapshot, SeriesSnapshot, Unit, Value};

/// The content type of [`MetricsSnapshot::to_openmetrics`].
pub const OPENMETRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl MetricsSnapshot {
    /// The snapshot as text. Histograms are exported with a bucket for each power of two of the range that is
    /// usual for their unit, 1 µs to 18 min for seconds, so that the set of buckets never changes.
    pub fn to_openmetrics(&self) -> String {
        let mut text = String::new();
        write_all(&mut text, self).expect("a string takes everything that is written to it");
        text
    }
}

fn write_all(text: &mut String, snapshot: &MetricsSnapshot) -> fmt::Result {
    for family in &snapshot.families {
        let name = family.metric.family_name();
        writeln!(text, "# TYPE {name} {}", family.kind)?;
        if family.unit() != Unit::Count {
            writeln!(text, "# UNIT {name} {}", family.unit())?;
        }
        writeln!(text, "# HELP {name} {}", Escaped(family.help()))?;
        for series in &family.series {
            write_series(text, family, series)?;
        }
    }
    text.write_str("# EOF\n")
}

fn write_series(text: &mut String, family: &FamilySnapshot, series: &SeriesSnapshot) -> fmt::Result {
    let (name, unit) = (family.name(), family.unit());
    match &series.value {
        Value::Counter(value) => {
            writeln!(text, "{name}{} {}", LabelSet(series, None), exported(unit, *value as f64))
        }
        Value::Gauge(value) => {
            writeln!(text, "{name}{} {}", LabelSet(series, None), exported(unit, *value as f64))
        }
        Value::Histogram(histogram) => write_histogram(text, name, unit, series, histogram),
    }
}

fn write_histogram(
    text: &mut String,
    name: &str,
    unit: Unit,
    series: &SeriesSnapshot,
    histogram: &HistogramSnapshot,
) -> fmt::Result {
    for octave in exported_octaves(unit) {
        // A bucket ends just below a power of two, and bounds are inclusive.
        let bound = (1u64 << octave) - 1;
        let le = format!("{:?}", exported(unit, bound as f64));
        writeln!(text, "{name}_bucket{} {}", LabelSet(series, Some(&le)), histogram.count_up_to(bound))?;
    }
    let count = histogram.count();
    writeln!(text, "{name}_bucket{} {count}", LabelSet(series, Some("+Inf")))?;
    writeln!(text, "{name}_sum{} {}", LabelSet(series, None), exported(unit, histogram.sum() as f64))?;
    writeln!(text, "{name}_count{} {count}", LabelSet(series, None))
}

/// Powers of two, in the unit of recording, between which a unit's values usually lie.
fn exported_octaves(unit: Unit) -> RangeInclusive<u32> {
    match unit {
        Unit::Count => 1..=30,
        Unit::Seconds => 10..=40,
        Unit::Bytes => 6..=36,
    }
}

fn exported(unit: Unit, value: f64) -> f64 {
    match unit {
        Unit::Seconds => value / 1e9,
        Unit::Count | Unit::Bytes => value,
    }
}

/// `{name="value",le="1.0"}`, or nothing where there is no label.
struct LabelSet<'a>(&'a SeriesSnapshot, Option<&'a str>);

impl fmt::Display for LabelSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(series, le) = self;
        let labels = series.labels.iter().map(|(name, value)| (*name, value.as_str()));
        let mut separator = '{';
        for (name, value) in labels.chain(le.map(|le| ("le", le))) {
            write!(f, "{separator}{name}=\"{}\"", Escaped(value))?;
            separator = ',';
        }
        if separator == ',' { f.write_char('}') } else { Ok(()) }
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            other => f.write_char(other),
        })
    }
}
