use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::layers::{Layer, RateLimit, RateLimitConfig, RateLimitLayer};
use agentscale_core::time::ManualClock;
use agentscale_core::{ErrorKind, Result, Retry};
use proptest::prelude::*;
use tower::ServiceExt;

use super::{Scripted, tables};

mod keyed;

fn limit(calls: u32, per: Duration, burst: u32) -> (ManualClock, RateLimit) {
    let clock = ManualClock::new();
    let config = RateLimitConfig {
        calls: NonZeroU32::new(calls).unwrap(),
        per,
        burst: NonZeroU32::new(burst).unwrap(),
    };
    let limit = RateLimit::new(&config, Arc::new(clock.clone())).unwrap();
    (clock, limit)
}

/// The event is a call.
#[test]
fn the_limit_follows_its_table_of_events() {
    tables::run(include_str!("tables/rate_limit.json"), 7, |config, clock| {
        let limit = RateLimit::new(&config, clock).unwrap();
        Box::new(move |_| admission(limit.try_acquire()))
    });
}

/// `admitted`, or `refused MS`: the time to the next free call.
fn admission(outcome: Result<()>) -> String {
    match outcome {
        Ok(()) => "admitted".to_owned(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::RateLimited);
            format!("refused {}", error.retry_after().unwrap().as_millis())
        }
    }
}

#[test]
fn a_refusal_says_when_the_next_call_may_come_and_that_call_passes() {
    let (clock, limit) = limit(10, Duration::from_secs(1), 3);
    for _ in 0..3 {
        limit.try_acquire().unwrap();
    }
    let refusal = limit.try_acquire().unwrap_err();
    assert_eq!((refusal.kind(), refusal.retry()), (ErrorKind::RateLimited, Retry::Later));
    assert_eq!(refusal.retry_after(), Some(Duration::from_millis(100)));
    clock.advance(Duration::from_nanos(99_999_999));
    assert_eq!(limit.try_acquire().unwrap_err().retry_after(), Some(Duration::from_nanos(1)));
    clock.advance(Duration::from_nanos(1));
    limit.try_acquire().unwrap();
    assert!(limit.try_acquire().is_err(), "one interval gives one call");
}

#[tokio::test]
async fn services_and_their_clones_share_one_limit_and_a_refused_call_does_not_start() {
    let (_, limit) = limit(1, Duration::from_secs(1), 2);
    let inner = Scripted::new([Ok("yes")]);
    let layer = RateLimitLayer::new(limit);
    let first = layer.layer(inner.clone());
    let second = layer.clone().layer(inner.clone());
    assert_eq!(first.clone().oneshot(()).await.unwrap(), "yes");
    assert_eq!(second.oneshot(()).await.unwrap(), "yes");
    assert_eq!(first.oneshot(()).await.unwrap_err().kind(), ErrorKind::RateLimited);
    assert_eq!(inner.started(), 2);
}

#[test]
fn rates_that_no_clock_can_keep_are_invalid() {
    let clock = Arc::new(ManualClock::new());
    for (calls, per, burst) in [
        (1, Duration::ZERO, 1),
        (u32::MAX, Duration::from_secs(1), 1),
        (1, Duration::from_secs(1), u32::MAX),
        (1, Duration::MAX, 1),
    ] {
        let config = RateLimitConfig {
            calls: NonZeroU32::new(calls).unwrap(),
            per,
            burst: NonZeroU32::new(burst).unwrap(),
        };
        let error = RateLimit::new(&config, clock.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{config:?}");
    }
}

proptest! {
    #[test]
    fn no_span_of_time_admits_more_than_burst_and_rate(
        burst in 1u32..20,
        interval_ms in 1u64..50,
        steps in prop::collection::vec(0u64..100, 1..300),
    ) {
        let (clock, limit) = limit(1, Duration::from_millis(interval_ms), burst);
        let mut elapsed = 0;
        let mut admitted = 0;
        for step in steps {
            clock.advance(Duration::from_millis(step));
            elapsed += step;
            admitted += u64::from(limit.try_acquire().is_ok());
            prop_assert!(admitted <= u64::from(burst) + elapsed / interval_ms);
        }
    }
}

#[test]
fn a_rate_that_does_not_divide_into_nanoseconds_is_never_exceeded() {
    let clock = Arc::new(ManualClock::new());
    let config = r#"{"calls": 600000000, "per_ms": 1000, "burst": 1}"#;
    let limit = RateLimit::new(&serde_json::from_str(config).unwrap(), clock.clone()).unwrap();
    let admitted = (0..1_000).filter(|_| {
        clock.advance(Duration::from_nanos(1));
        limit.try_acquire().is_ok()
    });
    assert!(admitted.count() <= 1 + 600);
    let more = r#"{"calls": 1000001, "per_ms": 1, "burst": 1}"#;
    assert!(
        RateLimit::new(&serde_json::from_str(more).unwrap(), clock).is_err(),
        "more than one in a nanosecond"
    );
}
