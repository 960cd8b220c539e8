use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::layers::{
    AdaptiveConcurrency, AdaptiveConcurrencyConfig, AdaptiveConcurrencyLayer, ConcurrencyAlgorithm,
    ConcurrencyPermit, Layer,
};
use agentscale_core::time::{Clock, ManualClock};
use agentscale_core::{Error, ErrorKind, Retry};
use proptest::prelude::*;
use tower::ServiceExt;

use super::simulation::{Excess, OtherSide, SERVICE, Seen, Service, Simulation};
use super::{Scripted, tables};

fn manual(config: &AdaptiveConcurrencyConfig) -> (ManualClock, AdaptiveConcurrency) {
    let clock = ManualClock::new();
    (clock.clone(), AdaptiveConcurrency::new(config, Arc::new(clock)).unwrap())
}

#[test]
fn the_limit_follows_its_table_of_events() {
    for case in
        tables::cases::<AdaptiveConcurrencyConfig>(include_str!("tables/adaptive_concurrency.json"), 8)
    {
        let (clock, limit) = manual(&case.config);
        let mut permits = HashMap::new();
        for (at_ms, event, expected) in &case.steps {
            clock.advance(Duration::from_millis(*at_ms) - Duration::from_nanos(clock.now().as_nanos()));
            let seen = apply(&limit, &mut permits, event);
            assert_eq!(seen, *expected, "{}: {at_ms} {event}", case.name);
        }
    }
}

/// `start N`, `ok N`, `overload N`, `timeout N`, `other N` and `cancel N` are about N calls, first come first.
fn apply(limit: &AdaptiveConcurrency, permits: &mut HashMap<u64, ConcurrencyPermit>, event: &str) -> String {
    let (event, calls) = event.split_once(' ').unwrap();
    let mut refused = 0;
    for _ in 0..calls.parse().unwrap() {
        if event == "start" {
            let number = permits.keys().max().map_or(0, |last| last + 1);
            match limit.try_acquire() {
                Ok(permit) => drop(permits.insert(number, permit)),
                Err(refusal) => {
                    assert_eq!((refusal.kind(), refusal.retry()), (ErrorKind::Overloaded, Retry::Later));
                    refused += 1;
                }
            }
            continue;
        }
        let first = *permits.keys().min().unwrap();
        let permit = permits.remove(&first).unwrap();
        match event {
            "ok" => permit.record(Ok(())),
            "overload" => permit.record(Err(&Error::new(ErrorKind::Overloaded, "complete"))),
            "timeout" => permit.record(Err(&Error::new(ErrorKind::DeadlineExceeded, "complete"))),
            "other" => permit.record(Err(&Error::new(ErrorKind::InvalidInput, "complete"))),
            "cancel" => drop(permit),
            other => panic!("unknown event {other}"),
        }
    }
    let refused = if refused > 0 { format!(", {refused} refused") } else { String::new() };
    format!("{} of {}{refused}", limit.in_flight(), limit.limit())
}

#[derive(Debug, Default)]
struct Outcome {
    /// Good answers beside the capacity.
    goodput: f64,
    /// Calls that were let through and failed, beside those that were answered.
    failed: f64,
    largest_limit: u32,
    mean_seconds: f64,
}

fn simulate(algorithm: ConcurrencyAlgorithm, overload: f64, other: OtherSide, seconds: f64) -> Outcome {
    let mut simulation = Simulation::new(7, overload, other);
    let config = AdaptiveConcurrencyConfig { algorithm, max: 10_000, ..AdaptiveConcurrencyConfig::default() };
    let limit = AdaptiveConcurrency::new(&config, Arc::new(simulation.clock.clone())).unwrap();
    let mut permits: HashMap<u64, (ConcurrencyPermit, f64)> = HashMap::new();
    let warm = seconds / 5.0;
    let mut outcome = Outcome::default();
    let (mut good, mut failed, mut arrivals) = (0.0, 0.0, 0_u64);
    while simulation.now() < seconds {
        match simulation.step() {
            Seen::Arrived => {
                arrivals += 1;
                if let Ok(permit) = limit.try_acquire() {
                    permits.insert(arrivals, (permit, simulation.now()));
                    simulation.call(arrivals);
                }
            }
            Seen::Ended(number, result) => {
                let (permit, started) = permits.remove(&number).unwrap();
                if simulation.now() > warm {
                    outcome.largest_limit = outcome.largest_limit.max(limit.limit());
                    match result {
                        Ok(()) => good += 1.0,
                        Err(()) => failed += 1.0,
                    }
                    outcome.mean_seconds += simulation.now() - started;
                }
                match result {
                    Ok(()) => permit.answered(),
                    Err(()) => permit.dropped(),
                }
            }
        }
    }
    outcome.mean_seconds /= good + failed;
    outcome.failed = failed / good;
    outcome.goodput = good / (seconds - warm) / simulation.capacity();
    outcome
}

const OVERLOADS: [f64; 2] = [2.0, 10.0];

fn other_sides(excesses: &[Excess]) -> impl Iterator<Item = OtherSide> {
    let sides = |service| move |excess: &Excess| OtherSide { servers: 100, excess: *excess, service };
    let fixed = excesses.iter().map(sides(Service::Fixed));
    fixed.chain(excesses.iter().map(sides(Service::Exponential)))
}

#[test]
fn under_overload_the_default_finds_what_another_side_bears_that_refuses_or_times_out() {
    for other_side in other_sides(&[Excess::Refused, Excess::Queued(5.0)]) {
        for overload in OVERLOADS {
            let seen = simulate(ConcurrencyAlgorithm::Aimd, overload, other_side, 100.0);
            assert!(seen.goodput >= 0.93, "{overload} {other_side:?} {seen:?}");
            assert!(seen.failed <= 0.02, "{overload} {other_side:?} {seen:?}");
        }
    }
}

#[test]
fn by_the_gradient_the_queue_of_another_side_that_never_refuses_stays_short() {
    for other_side in other_sides(&[Excess::Refused, Excess::Queued(1e6)]) {
        for overload in OVERLOADS {
            let seen = simulate(ConcurrencyAlgorithm::Gradient, overload, other_side, 100.0);
            assert!(seen.goodput >= 0.93, "{overload} {other_side:?} {seen:?}");
            assert!(seen.mean_seconds <= 1.5 * SERVICE, "{overload} {other_side:?} {seen:?}");
            assert!(seen.largest_limit <= 160, "{overload} {other_side:?} {seen:?}");
        }
    }
}

#[test]
fn without_overload_next_to_nothing_is_refused() {
    for other_side in other_sides(&[Excess::Refused, Excess::Queued(5.0)]) {
        for algorithm in [ConcurrencyAlgorithm::Aimd, ConcurrencyAlgorithm::Gradient] {
            let seen = simulate(algorithm, 0.3, other_side, 100.0);
            assert!((0.29..0.31).contains(&seen.goodput), "{algorithm:?} {other_side:?} {seen:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_gives_its_place_back_and_records_nothing() {
    let (_, limit) =
        manual(&AdaptiveConcurrencyConfig { initial: 1, ..AdaptiveConcurrencyConfig::default() });
    let inner = Scripted::new([Ok("slow")]).taking(Duration::from_secs(5));
    let service = AdaptiveConcurrencyLayer::new(limit.clone()).layer(inner.clone());
    let cut = tokio::time::timeout(Duration::from_secs(1), service.clone().oneshot(()));
    let running = tokio::spawn(cut);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(service.clone().oneshot(()).await.unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!((inner.started(), limit.in_flight()), (1, 1));
    assert!(running.await.unwrap().is_err());
    assert_eq!((limit.in_flight(), limit.limit()), (0, 1));
    assert_eq!(service.oneshot(()).await.unwrap(), "slow");
    assert_eq!(limit.limit(), 2, "the limit was in use, and the answer was good");
}

#[test]
fn a_crowd_of_threads_holds_no_more_permits_than_the_limit_allows() {
    let (_, limit) =
        manual(&AdaptiveConcurrencyConfig { initial: 5, ..AdaptiveConcurrencyConfig::default() });
    assert_eq!(super::most_held_at_once(|| limit.try_acquire()), 5);
    assert_eq!(limit.in_flight(), 0);
}

#[test]
fn bounds_that_are_zero_or_absurd_are_invalid_by_name() {
    let good = AdaptiveConcurrencyConfig::default();
    for (field, bad) in [
        ("min", AdaptiveConcurrencyConfig { min: 0, ..good.clone() }),
        ("min", AdaptiveConcurrencyConfig { min: 300, ..good.clone() }),
        ("max", AdaptiveConcurrencyConfig { max: 0, ..good.clone() }),
        ("max", AdaptiveConcurrencyConfig { max: u32::MAX, ..good.clone() }),
        ("initial", AdaptiveConcurrencyConfig { initial: 0, ..good.clone() }),
        ("slow_after_ms", AdaptiveConcurrencyConfig { slow_after: Duration::ZERO, ..good.clone() }),
        ("slow_after_ms", AdaptiveConcurrencyConfig { slow_after: Duration::MAX, ..good.clone() }),
    ] {
        let error = AdaptiveConcurrency::new(&bad, Arc::new(ManualClock::new())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.context(field).is_some(), "{error}");
    }
    let config = r#"{"algorithm": "gradient", "max": 500, "slow_after_ms": 5000}"#;
    assert!(serde_json::from_str::<AdaptiveConcurrencyConfig>(config).is_ok());
    assert!(serde_json::from_str::<AdaptiveConcurrencyConfig>(r#"{"limit": 3}"#).is_err());
}

proptest! {
    /// Whatever happens, nothing is let through beyond the limit of that moment, the limit keeps its bounds, and
    /// every place comes back.
    #[test]
    fn no_more_calls_are_let_through_than_the_limit_allows(
        gradient in any::<bool>(),
        events in prop::collection::vec((0u8..6, 0u64..100, any::<prop::sample::Index>()), 1..400),
    ) {
        let algorithm = if gradient { ConcurrencyAlgorithm::Gradient } else { ConcurrencyAlgorithm::Aimd };
        let config = AdaptiveConcurrencyConfig { algorithm, initial: 3, min: 2, max: 9, ..AdaptiveConcurrencyConfig::default() };
        let (clock, limit) = manual(&config);
        let mut permits: Vec<ConcurrencyPermit> = Vec::new();
        for (event, millis, which) in events {
            clock.advance(Duration::from_millis(millis));
            if event < 3 {
                let free = limit.in_flight() < limit.limit();
                let permit = limit.try_acquire();
                prop_assert_eq!(permit.is_ok(), free);
                permits.extend(permit);
            } else if !permits.is_empty() {
                let permit = permits.swap_remove(which.index(permits.len()));
                match event {
                    3 => permit.answered(),
                    4 => permit.dropped(),
                    _ => drop(permit),
                }
            }
            prop_assert_eq!(limit.in_flight() as usize, permits.len());
            prop_assert!((2..=9).contains(&limit.limit()));
        }
        drop(permits);
        prop_assert_eq!(limit.in_flight(), 0);
    }
}
