//! Typed metrics: counters, gauges and histograms that cost one atomic addition to record.
//!
//! A [`Metrics`] registry gives out handles; handles are cheap to clone and are kept by whoever records.
//! Nothing is global: two runtimes in one process have two registries. What was recorded is read as a
//! [`MetricsSnapshot`], which can be written in the OpenMetrics text format that Prometheus reads.
//!
//! ```
//! use std::time::Duration;
//! use agentscale_core::metrics::{Metric, Metrics};
//!
//! const TURNS: Metric = Metric::new("turns_total", "turns that were committed");
//! const TURN_TIME: Metric = Metric::new("turn_seconds", "time from admission to commit").in_seconds();
//!
//! let metrics = Metrics::new();
//! let turns = metrics.counter(&TURNS, &[("agent_type", "researcher")])?;
//! let turn_time = metrics.histogram(&TURN_TIME, &[])?;
//! turns.increment();
//! turn_time.record_duration(Duration::from_millis(3));
//!
//! let text = metrics.snapshot().to_openmetrics();
//! assert!(text.contains("turns_total{agent_type=\"researcher\"} 1\n"));
//! # Ok::<(), agentscale_core::Error>(())
//! ```

pub(crate) mod buckets;
mod counter;
mod gauge;
mod histogram;
mod labels;
mod metric;
mod openmetrics;
mod registry;
mod snapshot;

pub use counter::Counter;
pub use gauge::Gauge;
pub use histogram::{Histogram, HistogramSnapshot};
pub use labels::{MAX_LABEL_VALUE_BYTES, MAX_LABELS};
pub use metric::{Metric, MetricKind, Unit};
pub use openmetrics::OPENMETRICS_CONTENT_TYPE;
pub use registry::Metrics;
pub use snapshot::{FamilySnapshot, MetricsSnapshot, SeriesSnapshot, Value};
