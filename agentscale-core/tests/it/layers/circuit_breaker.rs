use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale_core::layers::{
    CircuitBreaker, CircuitBreakerConfig, CircuitBreakerLayer, CircuitState, Layer, Permit, Service,
};
use agentscale_core::time::{Clock, ManualClock, SystemClock};
use agentscale_core::{Error, ErrorKind, Retry};
use proptest::prelude::*;
use tower::ServiceExt;

use super::{Scripted, unavailable};

fn config(failures: u16) -> CircuitBreakerConfig {
    CircuitBreakerConfig {
        consecutive_failures: NonZeroU16::new(failures).unwrap(),
        within: Duration::from_secs(30),
        open_for: Duration::from_secs(10),
    }
}

fn manual(failures: u16) -> (ManualClock, CircuitBreaker) {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::new("llm", config(failures), Arc::new(clock.clone()));
    (clock, breaker)
}

#[test]
fn the_breaker_follows_its_table_of_events() {
    let table = include_str!("../../data/circuit_breaker.txt");
    let cases: Vec<&str> = table.split("\ncase ").skip(1).collect();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let (name, events) = case.split_once('\n').unwrap();
        let (clock, breaker) = manual(3);
        let mut permits = HashMap::new();
        for line in events.lines().filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = Duration::from_millis(words[0].parse().unwrap());
            clock.advance(at - Duration::from_nanos(clock.now().as_nanos()));
            let seen = apply(&breaker, &mut permits, words[1], words[2]);
            assert_eq!(seen, words[3..].join(" "), "case {name}: {line}");
        }
    }
}

fn apply<'t>(
    breaker: &CircuitBreaker,
    permits: &mut HashMap<&'t str, Permit>,
    event: &str,
    name: &'t str,
) -> String {
    match event {
        "call" => return admission(breaker, permits, name),
        "ok" => permits.remove(name).unwrap().success(),
        "fail" => permits.remove(name).unwrap().failure(),
        "drop" => drop(permits.remove(name).unwrap()),
        other => panic!("unknown event {other}"),
    }
    match breaker.state() {
        CircuitState::Closed => "closed".to_owned(),
        CircuitState::Open { .. } => "open".to_owned(),
        CircuitState::HalfOpen => "half-open".to_owned(),
    }
}

fn admission<'t>(breaker: &CircuitBreaker, permits: &mut HashMap<&'t str, Permit>, name: &'t str) -> String {
    let foretold = breaker.refusal().is_some();
    let outcome = breaker.try_acquire();
    assert_eq!(foretold, outcome.is_err(), "refusal and try_acquire agree");
    match outcome {
        Ok(permit) => {
            let kind = if permit.is_probe() { "probe" } else { "admitted" };
            permits.insert(name, permit);
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
    assert_eq!(seen.iter().map(|opened| opened.again).collect::<Vec<_>>(), [false, true]);
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
    let breaker = CircuitBreaker::new("llm", config(1), Arc::new(SystemClock::new()));
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

proptest! {
    /// Whatever comes, at most one probe is out, and a breaker left alone for long enough admits a call again.
    #[test]
    fn the_breaker_is_never_stuck(events in prop::collection::vec((0u8..5, 0u64..15_000), 1..200)) {
        let (clock, breaker) = manual(2);
        let mut permits: Vec<Permit> = Vec::new();
        for (event, millis) in events {
            match (event, permits.is_empty()) {
                (0, _) | (1, _) => permits.extend(breaker.try_acquire()),
                (2, false) => permits.remove(millis as usize % permits.len()).success(),
                (3, false) => permits.remove(millis as usize % permits.len()).failure(),
                (4, false) => drop(permits.remove(millis as usize % permits.len())),
                _ => clock.advance(Duration::from_millis(millis)),
            }
            if breaker.state() == CircuitState::HalfOpen {
                let current = permits.iter().filter(|permit| permit.is_probe()).count();
                let free = breaker.refusal().is_none();
                prop_assert!(free || current >= 1, "half open, no probe out, and refusing");
            }
        }
        permits.clear();
        clock.advance(Duration::from_secs(10));
        prop_assert!(breaker.try_acquire().is_ok());
    }
}
