use std::collections::HashMap;
use std::num::{NonZeroU16, NonZeroU32};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale_core::layers::{
    CircuitBreaker, CircuitBreakerConfig, CircuitBreakerLayer, CircuitRates, CircuitState, CircuitTrip,
    ConsecutiveFailures, Layer, OpenCause, Permit, Service,
};
use agentscale_core::time::{ManualClock, SystemClock};
use agentscale_core::{Error, ErrorKind, Result, Retry};
use proptest::prelude::*;
use tower::ServiceExt;

use super::tables::{self, words};
use super::{Scripted, unavailable};

fn config(failures: u16) -> CircuitBreakerConfig {
    CircuitBreakerConfig {
        trip: CircuitTrip::ConsecutiveFailures(ConsecutiveFailures {
            failures: NonZeroU16::new(failures).unwrap(),
            within: Duration::from_secs(30),
        }),
        open_for: Duration::from_secs(10),
        ..CircuitBreakerConfig::default()
    }
}

fn manual(failures: u16) -> (ManualClock, CircuitBreaker) {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::new("llm", config(failures), Arc::new(clock.clone())).unwrap();
    (clock, breaker)
}

#[test]
fn the_breaker_follows_its_table_of_events() {
    tables::run(include_str!("tables/circuit_breaker.json"), 34, |config, clock| {
        let breaker = CircuitBreaker::new("llm", config, clock).unwrap();
        let mut permits = HashMap::new();
        Box::new(move |event| apply(&breaker, &mut permits, event))
    });
}

/// - `call A`: `admitted`, `probe`, `refused MS` (the time to the next probe) or `refused` (none known);
/// - `ok A`, `fail A`, `drop A`, `force-open`, `force-closed`, `reset`: the state afterwards.
fn apply(breaker: &CircuitBreaker, permits: &mut HashMap<String, Permit>, event: &str) -> String {
    let (verb, name) = words(event);
    let mut permit = || permits.remove(name).unwrap();
    match verb {
        "call" => return admission(breaker, permits, name),
        "ok" => permit().success(),
        "fail" => permit().failure(),
        "drop" => drop(permit()),
        "force-open" => breaker.force_open(),
        "force-closed" => breaker.force_closed(),
        "reset" => breaker.reset(),
        other => panic!("unknown event {other}"),
    }
    let state = match breaker.state() {
        CircuitState::Closed => "closed",
        CircuitState::Open { .. } => "open",
        CircuitState::HalfOpen => "half-open",
        CircuitState::ForcedOpen => "forced-open",
        CircuitState::ForcedClosed => "forced-closed",
        other => panic!("unknown state {other:?}"),
    };
    state.to_owned()
}

fn admission(breaker: &CircuitBreaker, permits: &mut HashMap<String, Permit>, name: &str) -> String {
    let foretold = breaker.refusal().is_some();
    let outcome = breaker.try_acquire();
    assert_eq!(foretold, outcome.is_err(), "refusal and try_acquire agree");
    match outcome {
        Ok(permit) => {
            let kind = if permit.is_probe() { "probe" } else { "admitted" };
            permits.insert(name.to_owned(), permit);
            kind.to_owned()
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::CircuitOpen);
            assert_eq!(error.context("component"), Some("llm"));
            error.retry_after().map_or("refused".to_owned(), |wait| format!("refused {}", wait.as_millis()))
        }
    }
}

#[test]
fn every_opening_calls_the_hook() {
    let (clock, breaker) = manual(1);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let breaker = breaker.with_on_open(move |opened| log.lock().unwrap().push(opened.clone()));
    breaker.try_acquire().unwrap().failure();
    clock.advance(Duration::from_secs(10));
    breaker.try_acquire().unwrap().failure();
    let seen = seen.lock().unwrap();
    let causes: Vec<OpenCause> = seen.iter().map(|opened| opened.cause).collect();
    assert_eq!(causes, [OpenCause::ConsecutiveFailures, OpenCause::Probe]);
    assert_eq!(seen[0].component, "llm");
    assert_eq!(seen[0].open_for, Duration::from_secs(10));
}

#[test]
fn errors_that_say_nothing_about_the_other_side_are_not_recorded() {
    let (_, breaker) = manual(1);
    for kind in
        [ErrorKind::InvalidInput, ErrorKind::RateLimited, ErrorKind::Cancelled, ErrorKind::CircuitOpen]
    {
        breaker.try_acquire().unwrap().record(Err(&Error::new(kind, "complete")));
        assert_eq!(breaker.state(), CircuitState::Closed, "{kind}");
    }
    breaker.try_acquire().unwrap().record(Err(&unavailable()));
    assert_ne!(breaker.state(), CircuitState::Closed);
}

#[test]
fn a_call_without_tower_records_its_result_and_a_panic_gives_the_probe_back() {
    let (clock, breaker) = manual(1);
    assert_eq!(breaker.call(|| Ok(5)).unwrap(), 5);
    assert_eq!(breaker.call(|| Err::<(), _>(unavailable())).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(breaker.call(|| Ok(5)).unwrap_err().kind(), ErrorKind::CircuitOpen);
    clock.advance(Duration::from_secs(10));
    let panicking = std::panic::AssertUnwindSafe(|| breaker.call(|| -> Result<()> { panic!("in mid call") }));
    assert!(std::panic::catch_unwind(panicking).is_err());
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(breaker.call(|| Ok(5)).unwrap(), 5);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test]
async fn an_open_circuit_is_ready_and_refuses_in_call_without_asking_the_inner_service() {
    let (_, breaker) = manual(1);
    let inner = Scripted::new([Err(unavailable())]);
    let mut service = CircuitBreakerLayer::new(breaker).layer(inner.clone());
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap_err().kind(), ErrorKind::Unavailable);

    let (ready_before, started_before) = (inner.polled_for_readiness(), inner.started());
    let error = service.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::CircuitOpen, Retry::Later));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(10)));
    assert_eq!((inner.polled_for_readiness(), inner.started()), (ready_before, started_before));
}

#[tokio::test]
async fn a_service_that_became_ready_to_refuse_does_not_call_an_inner_service_it_never_asked() {
    let (clock, breaker) = manual(1);
    let inner = Scripted::new([Err(unavailable()), Ok("well")]);
    let mut service = CircuitBreakerLayer::new(breaker).layer(inner.clone());
    service.ready().await.unwrap().call(()).await.unwrap_err();

    let ready = service.ready().await.unwrap();
    clock.advance(Duration::from_secs(10));
    assert_eq!(ready.call(()).await.unwrap_err().kind(), ErrorKind::CircuitOpen);
    assert_eq!(inner.started(), 1);
    assert_eq!(service.ready().await.unwrap().call(()).await.unwrap(), "well");
}

#[tokio::test(start_paused = true)]
async fn a_probe_dropped_in_mid_call_gives_its_place_back_and_records_nothing() {
    let breaker = CircuitBreaker::new("llm", config(1), Arc::new(SystemClock::new())).unwrap();
    let inner = Scripted::new([Ok("slow")]).taking(Duration::from_secs(5));
    let service = CircuitBreakerLayer::new(breaker.clone()).layer(inner.clone());
    breaker.try_acquire().unwrap().failure();
    tokio::time::sleep(Duration::from_secs(10)).await;

    let cut = tokio::time::timeout(Duration::from_secs(1), service.clone().oneshot(())).await;
    assert!(cut.is_err(), "the future was dropped in mid call");
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    assert_eq!(service.oneshot(()).await.unwrap(), "slow");
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(inner.started(), 2);
}

#[test]
fn a_crowd_of_threads_gets_one_probe() {
    let (clock, breaker) = manual(1);
    for _ in 0..50 {
        breaker.try_acquire().unwrap().failure();
        clock.advance(Duration::from_secs(10));
        let admitted = AtomicUsize::new(0);
        let permits = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    if let Ok(permit) = breaker.try_acquire() {
                        admitted.fetch_add(1, Ordering::SeqCst);
                        permits.lock().unwrap().push(permit);
                    }
                });
            }
        });
        assert_eq!(admitted.load(Ordering::SeqCst), 1);
        permits.into_inner().unwrap().remove(0).success();
    }
}

fn rates(min_calls: u32) -> CircuitBreakerConfig {
    let min_calls = NonZeroU32::new(min_calls).unwrap();
    let rates = CircuitRates { min_calls, slow_call: Duration::from_secs(5), ..CircuitRates::default() };
    CircuitBreakerConfig { trip: CircuitTrip::Rates(rates), ..config(1) }
}

#[test]
fn openings_say_their_cause() {
    let clock = ManualClock::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let breaker = CircuitBreaker::new("tool", rates(1), Arc::new(clock.clone())).unwrap();
    let breaker =
        breaker.with_on_open(move |opened| log.lock().unwrap().push((opened.cause, opened.open_for)));
    breaker.try_acquire().unwrap().failure();
    breaker.reset();
    let slow = breaker.try_acquire().unwrap();
    clock.advance(Duration::from_secs(5));
    slow.success();
    breaker.force_open();
    let ten = Duration::from_secs(10);
    let causes =
        [(OpenCause::FailureRate, ten), (OpenCause::SlowCallRate, ten), (OpenCause::Forced, Duration::MAX)];
    assert_eq!(*seen.lock().unwrap(), causes);
}

#[test]
fn threads_that_fail_together_open_the_circuit_once() {
    for calls in [4, 40] {
        let openings = Arc::new(AtomicUsize::new(0));
        let count = openings.clone();
        let breaker = CircuitBreaker::new("llm", rates(calls), Arc::new(ManualClock::new())).unwrap();
        let breaker = breaker.with_on_open(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        });
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope
                    .spawn(|| (0..calls).map_while(|_| breaker.try_acquire().ok()).for_each(Permit::failure));
            }
        });
        assert_eq!(openings.load(Ordering::SeqCst), 1);
        assert!(matches!(breaker.state(), CircuitState::Open { .. }));
    }
}

proptest! {
    /// Whatever comes, at most one probe a cycle is out, and a breaker left alone for long enough admits a call again.
    #[test]
    fn the_breaker_is_never_stuck(
        by_rates in any::<bool>(),
        events in prop::collection::vec((0u8..5, 0u64..15_000), 1..200),
    ) {
        let clock = ManualClock::new();
        let config = if by_rates { rates(3) } else { config(2) };
        let breaker = CircuitBreaker::new("llm", config, Arc::new(clock.clone())).unwrap();
        let mut permits: Vec<Permit> = Vec::new();
        let mut probing = false;
        for (event, millis) in events {
            let one = |permits: &mut Vec<Permit>| permits.remove(millis as usize % permits.len());
            let before = breaker.state();
            match (event, permits.is_empty()) {
                (0, _) | (1, _) => permits.extend(breaker.try_acquire()),
                (2, false) => one(&mut permits).success(),
                (3, false) => one(&mut permits).failure(),
                (4, false) => drop(one(&mut permits)),
                _ => clock.advance(Duration::from_millis(millis)),
            }
            let probes = permits.iter().filter(|permit| permit.is_probe()).count();
            let half_open = breaker.state() == CircuitState::HalfOpen;
            if half_open {
                prop_assert!(breaker.refusal().is_none() || probes >= 1, "no probe is out, and it refuses");
            }
            if probing && before == CircuitState::HalfOpen && half_open && event < 2 {
                prop_assert!(breaker.refusal().is_some(), "a second probe of one cycle");
            }
            probing = half_open && breaker.refusal().is_some();
        }
        permits.clear();
        clock.advance(Duration::from_secs(120));
        prop_assert!(breaker.try_acquire().is_ok());
    }
}
