#![allow(clippy::unwrap_used, reason = "in a test a failed unwrap is a failed test")]

use std::num::NonZeroUsize;
use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::metrics::{Histogram, MAX_LABEL_VALUE_BYTES, Metric, Metrics, Value};
use proptest::prelude::*;

const TURNS: Metric = Metric::new("turns_total", "turns that were committed");
const WAITING: Metric = Metric::new("waiting_turns", "turns that wait");
const TURN_TIME: Metric = Metric::new("turn_seconds", "time of a turn").in_seconds();

#[test]
fn asking_twice_gives_the_same_numbers_and_other_labels_give_others() {
    let metrics = Metrics::new();
    let first = metrics.counter(&TURNS, &[("agent_type", "researcher")]).unwrap();
    let again = metrics.clone().counter(&TURNS, &[("agent_type", "researcher")]).unwrap();
    let other = metrics.counter(&TURNS, &[("agent_type", "writer")]).unwrap();
    first.increment();
    again.add(2);
    other.increment();
    let snapshot = metrics.snapshot();
    assert_eq!(snapshot.value("turns_total", &["researcher"]), Some(&Value::Counter(3)));
    assert_eq!(snapshot.value("turns_total", &["writer"]), Some(&Value::Counter(1)));
    assert_eq!(snapshot.value("turns_total", &["nobody"]), None);
}

#[test]
fn two_registries_share_nothing() {
    let (one, two) = (Metrics::new(), Metrics::new());
    one.gauge(&WAITING, &[]).unwrap().set(7);
    assert_eq!(two.gauge(&WAITING, &[]).unwrap().value(), 0);
}

#[test]
fn a_name_taken_by_another_kind_unit_or_label_set_is_a_conflict() {
    let metrics = Metrics::new();
    metrics.gauge(&WAITING, &[("pool", "a")]).unwrap();
    metrics.counter(&TURNS, &[]).unwrap();
    let conflicts = [
        metrics.histogram(&WAITING, &[("pool", "a")]).err(),
        metrics.gauge(&WAITING, &[]).err(),
        metrics.gauge(&WAITING, &[("node", "a")]).err(),
        metrics.gauge(&Metric::new("turns", "same family as turns_total"), &[]).err(),
    ];
    for error in conflicts {
        assert_eq!(error.unwrap().kind(), ErrorKind::Conflict);
    }
}

#[test]
fn names_and_labels_that_cannot_be_exported_are_invalid() {
    let metrics = Metrics::new();
    let ten: Vec<(&'static str, &str)> =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].iter().map(|name| (*name, "x")).collect();
    let invalid = [
        metrics.counter(&Metric::new("turns", "no _total"), &[]).err(),
        metrics.gauge(&TURNS, &[]).err(),
        metrics.histogram(&Metric::new("turn_time", "no unit").in_seconds(), &[]).err(),
        metrics.gauge(&Metric::new("9lives", ""), &[]).err(),
        metrics.gauge(&Metric::new("", ""), &[]).err(),
        metrics.gauge(&WAITING, &[("le", "1")]).err(),
        metrics.gauge(&WAITING, &[("a-b", "1")]).err(),
        metrics.gauge(&WAITING, &[("a", "1"), ("a", "2")]).err(),
        metrics.gauge(&WAITING, &ten).err(),
    ];
    for (i, error) in invalid.into_iter().enumerate() {
        assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::InvalidInput), "case {i}");
    }
    assert_eq!(metrics.snapshot().families.len(), 1, "nothing was registered but the overflow counter");
}

#[test]
fn series_beyond_the_limit_are_counted_together_and_nothing_is_lost() {
    let metrics = Metrics::with_max_series(NonZeroUsize::new(2).unwrap());
    for tenant in 0..100 {
        metrics.counter(&TURNS, &[("tenant", &tenant.to_string())]).unwrap().increment();
    }
    metrics.counter(&TURNS, &[("tenant", "1")]).unwrap().increment();
    let snapshot = metrics.snapshot();
    assert_eq!(snapshot.value("turns_total", &["1"]), Some(&Value::Counter(2)), "known ones stay");
    assert_eq!(snapshot.value("turns_total", &["other"]), Some(&Value::Counter(98)));
    assert_eq!(snapshot.value("agentscale_metrics_overflow_total", &[]), Some(&Value::Counter(98)));
}

#[test]
fn a_label_value_that_is_too_long_is_counted_as_other() {
    let metrics = Metrics::new();
    let long = "x".repeat(MAX_LABEL_VALUE_BYTES + 1);
    metrics.counter(&TURNS, &[("tenant", &long)]).unwrap().increment();
    assert_eq!(metrics.snapshot().value("turns_total", &["other"]), Some(&Value::Counter(1)));
}

#[test]
fn threads_that_record_together_lose_nothing() {
    let metrics = Metrics::new();
    let (turns, time) = (metrics.counter(&TURNS, &[]).unwrap(), metrics.histogram(&TURN_TIME, &[]).unwrap());
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (turns, time) = (turns.clone(), time.clone());
            scope.spawn(move || {
                for i in 0..10_000 {
                    turns.increment();
                    time.record(i * (thread + 1));
                }
            });
        }
    });
    assert_eq!((turns.value(), time.snapshot().count()), (40_000, 40_000));
}

#[test]
fn an_empty_histogram_has_no_quantile() {
    let snapshot = Histogram::default().snapshot();
    assert_eq!((snapshot.count(), snapshot.sum(), snapshot.p50(), snapshot.p99()), (0, 0, None, None));
}

#[test]
fn a_window_is_the_difference_of_two_snapshots() {
    let histogram = Histogram::default();
    histogram.record(5);
    let before = histogram.snapshot();
    histogram.record_duration(Duration::from_nanos(20));
    let window = histogram.snapshot().since(&before);
    assert_eq!((window.count(), window.p50()), (1, Some(20)));
    assert_eq!(window.quantile_duration(1.0), Some(Duration::from_nanos(20)));
}

#[test]
fn the_export_is_openmetrics_text() {
    let metrics = Metrics::new();
    metrics.counter(&TURNS, &[("agent_type", "a\"b\\c\nd")]).unwrap().add(3);
    metrics.gauge(&WAITING, &[]).unwrap().set(-2);
    let time = metrics.histogram(&TURN_TIME, &[("pool", "p")]).unwrap();
    for nanos in [1, 1_023, 1_024, u64::MAX] {
        time.record(nanos);
    }
    let text = metrics.snapshot().to_openmetrics();
    for expected in [
        "# TYPE turns counter\n# HELP turns turns that were committed\n",
        "turns_total{agent_type=\"a\\\"b\\\\c\\nd\"} 3\n",
        "# TYPE waiting_turns gauge\n# HELP waiting_turns turns that wait\nwaiting_turns -2\n",
        "# TYPE turn_seconds histogram\n# UNIT turn_seconds seconds\n# HELP turn_seconds time of a turn\n",
        "turn_seconds_bucket{pool=\"p\",le=\"1.023e-6\"} 2\n",
        "turn_seconds_bucket{pool=\"p\",le=\"2.047e-6\"} 3\n",
        "turn_seconds_bucket{pool=\"p\",le=\"+Inf\"} 4\n",
        "turn_seconds_count{pool=\"p\"} 4\n",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
    assert_eq!(text.matches("turn_seconds_bucket").count(), 32);
}

proptest! {
    #[test]
    fn quantiles_are_within_the_width_of_a_bucket(
        mut values in prop::collection::vec(0u64..1 << 50, 1..500),
        q in 0.0f64..=1.0,
    ) {
        let histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        values.sort_unstable();
        let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
        let exact = values[rank - 1] as f64;
        let seen = histogram.snapshot().quantile(q).unwrap() as f64;
        prop_assert!((seen - exact).abs() <= exact * 0.032, "{seen} for {exact}");
    }

    #[test]
    fn merged_snapshots_equal_one_histogram_of_all_values(
        here in prop::collection::vec(any::<u64>(), 0..50),
        there in prop::collection::vec(any::<u64>(), 0..50),
    ) {
        let (one, two, all) = (Histogram::default(), Histogram::default(), Histogram::default());
        here.iter().for_each(|value| one.record(*value));
        there.iter().for_each(|value| two.record(*value));
        here.iter().chain(&there).for_each(|value| all.record(*value));
        let mut merged = one.snapshot();
        merged.merge(&two.snapshot());
        prop_assert_eq!(&merged, &all.snapshot());
        prop_assert_eq!(merged.since(&one.snapshot()), two.snapshot());
    }
}
