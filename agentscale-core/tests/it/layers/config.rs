use std::sync::Arc;
use std::time::Duration;

use agentscale_core::layers::{
    AdaptiveConcurrency, AdaptiveConcurrencyConfig, Backoff, Bulkhead, BulkheadConfig, CircuitBreaker,
    CircuitBreakerConfig, CircuitRates, CircuitTrip, Component, Hedge, HedgeConfig, Jitter, RateLimitConfig,
    RetryBudget, RetryBudgetConfig, RetryConfig, RetryLayer, RetryPolicy, TimeoutConfig, TimeoutLayer,
};
use agentscale_core::time::ManualClock;
use agentscale_core::{ErrorKind, Result};

/// Component, its delays between retries in ms, and failures / window / open time of its breaker in ms.
type Row = (Component, &'static [u128], Option<(u16, u64, u64)>);

const TABLE: [Row; 5] = [
    (Component::Llm, &[1_000, 2_000, 4_000], Some((5, 30_000, 30_000))),
    (Component::Tool, &[500, 1_000], Some((10, 60_000, 60_000))),
    (Component::Checkpoint, &[100, 200, 400, 800, 1_600], None),
    (Component::Memory, &[100, 100], Some((20, 60_000, 60_000))),
    (Component::Database, &[500, 1_000, 2_000], Some((10, 30_000, 30_000))),
];

#[test]
fn each_component_has_the_delays_and_the_breaker_of_the_documents_table() {
    for (component, delays, breaker) in TABLE {
        let retry = component.retry();
        let policy = RetryPolicy::new(retry.clone());
        let seen: Vec<u128> = (0..retry.max_retries).map(|n| policy.delay(n).as_nanos()).collect();
        assert_eq!(seen, delays.iter().map(|ms| ms * 1_000_000).collect::<Vec<_>>(), "{component:?}");
        assert_eq!(retry.jitter, Jitter::Full);
        let seen = component.circuit_breaker().map(|config| {
            let CircuitTrip::ConsecutiveFailures(trip) = config.trip else { panic!("{component:?}") };
            (trip.failures.get(), trip.within.as_millis() as u64, config.open_for.as_millis() as u64)
        });
        assert_eq!(seen, breaker, "{component:?}");
    }
    assert_eq!(Some(CircuitBreakerConfig::default()), Component::Llm.circuit_breaker());
    assert_eq!(RetryConfig::default(), Component::Llm.retry());
}

#[test]
fn exponential_delays_are_exact_where_they_are_no_power_of_two() {
    let first_delay = Duration::from_millis(1_100);
    let policy = RetryPolicy::new(RetryConfig { first_delay, ..RetryConfig::default() });
    let seen: Vec<_> = (0..6).map(|retries| policy.delay(retries)).collect();
    assert_eq!(seen, (0..6).map(|retries| first_delay * 2_u32.pow(retries)).collect::<Vec<_>>());
}

#[test]
fn configurations_state_their_units_and_fill_in_defaults() {
    let retry: RetryConfig =
        serde_json::from_str(r#"{"backoff": "linear", "first_delay_ms": 250, "max_retries": 7}"#).unwrap();
    assert_eq!((retry.backoff, retry.first_delay), (Backoff::Linear, Duration::from_millis(250)));
    assert_eq!(retry.max_retry_after, Duration::from_secs(60));
    let breaker: CircuitBreakerConfig = serde_json::from_str(r#"{"open_for_ms": 1500}"#).unwrap();
    assert_eq!(breaker.open_for, Duration::from_millis(1_500));
    let json = serde_json::to_string(&TimeoutConfig { after: Duration::from_micros(1) }).unwrap();
    assert_eq!(json, r#"{"after_ms":1}"#, "a fraction is rounded up");
}

#[test]
fn unknown_keys_and_zero_limits_are_refused() {
    assert!(serde_json::from_str::<RetryConfig>(r#"{"retries": 3}"#).is_err());
    assert!(serde_json::from_str::<TimeoutConfig>(r#"{"after": 3}"#).is_err());
    assert!(
        serde_json::from_str::<CircuitBreakerConfig>(
            r#"{"trip": {"consecutive_failures": {"failures": 0}}}"#
        )
        .is_err()
    );
    assert!(serde_json::from_str::<RateLimitConfig>(r#"{"calls": 0}"#).is_err());
    assert!(serde_json::from_str::<RateLimitConfig>(r#"{"calls": 10, "per_ms": 100, "burst": 3}"#).is_ok());
}

#[test]
fn a_circuit_breaker_that_cannot_work_is_refused_with_the_field() {
    let built = |config| CircuitBreaker::new("llm", config, Arc::new(ManualClock::new()));
    for (field, json) in [
        ("open_for_ms", r#"{"open_for_ms": 0}"#),
        ("max_half_open_ms", r#"{"max_half_open_ms": 0}"#),
        ("within_ms", r#"{"trip": {"consecutive_failures": {"within_ms": 0}}}"#),
        ("window_ms", r#"{"trip": {"rates": {"window_ms": 0}}}"#),
        ("min_calls", r#"{"trip": {"rates": {"min_calls": 3000000}}}"#),
        ("slow_call_ms", r#"{"trip": {"rates": {"slow_call_ms": 0}}}"#),
        ("failure_rate", r#"{"trip": {"rates": {"failure_rate": 0.0}}}"#),
        ("failure_rate", r#"{"trip": {"rates": {"failure_rate": -0.1}}}"#),
        ("failure_rate", r#"{"trip": {"rates": {"failure_rate": 1.01}}}"#),
        ("slow_call_rate", r#"{"trip": {"rates": {"slow_call_rate": 1e300}}}"#),
    ] {
        refused_for(field, built(serde_json::from_str(json).unwrap()));
    }
    let trip = CircuitTrip::Rates(CircuitRates { failure_rate: f64::NAN, ..CircuitRates::default() });
    let config = CircuitBreakerConfig { trip, ..CircuitBreakerConfig::default() };
    refused_for("failure_rate", built(config));
    assert!(serde_json::from_str::<CircuitRates>(r#"{"min_calls": 0}"#).is_err());
}

#[test]
fn retries_a_budget_and_a_timeout_that_cannot_work_are_refused_with_the_field() {
    for (field, json) in [
        ("max_retries", r#"{"max_retries": 4294967295}"#),
        ("first_delay_ms", r#"{"first_delay_ms": 2000, "max_delay_ms": 1000}"#),
        ("max_delay_ms", r#"{"max_delay_ms": 18446744073709551615}"#),
        ("max_retry_after_ms", r#"{"max_retry_after_ms": 86400001}"#),
    ] {
        refused_for(field, RetryLayer::new(serde_json::from_str(json).unwrap()));
    }
    let budget = |ratio, min_per_sec, max_saved| {
        let config = RetryBudgetConfig { ratio, min_per_sec, max_saved };
        RetryBudget::new(&config, Arc::new(ManualClock::new()))
    };
    for ratio in [f64::NAN, f64::INFINITY, -0.01, 1.01] {
        refused_for("ratio", budget(ratio, 10, 100));
    }
    refused_for("min_per_sec", budget(0.2, u32::MAX, 100));
    refused_for("max_saved", budget(0.2, 10, 0));
    refused_for("after_ms", TimeoutLayer::new(TimeoutConfig { after: Duration::ZERO }));
}

fn refused_for<T: std::fmt::Debug>(field: &str, outcome: Result<T>) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.context(field).is_some(), "{error} names {field}");
}

#[test]
fn a_part_of_a_millisecond_is_a_time() {
    let (clock, part) = (Arc::new(ManualClock::new()), Duration::from_micros(500));
    let bulkhead = BulkheadConfig { max_waiting: 1, max_wait: part, ..BulkheadConfig::default() };
    Bulkhead::new(&bulkhead, clock.clone()).unwrap();
    let adaptive = AdaptiveConcurrencyConfig { slow_after: part, ..AdaptiveConcurrencyConfig::default() };
    AdaptiveConcurrency::new(&adaptive, clock.clone()).unwrap();
    let hedge = HedgeConfig { window: part, ..HedgeConfig::default() };
    Hedge::new(&hedge, clock).unwrap();
}
