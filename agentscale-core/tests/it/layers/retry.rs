use std::time::Duration;

use agentscale_core::layers::{
    Backoff, Component, Decision, Jitter, Layer, RetryConfig, RetryLayer, RetryPolicy, Service,
};
use agentscale_core::{Error, ErrorKind, Result, Retry};
use proptest::prelude::*;
use tokio::time::Instant;
use tower::ServiceExt;

use super::tables::{self, words};
use super::{Scripted, unavailable};

mod budget;
mod readiness;

/// The result, how many calls were made, and the time that it took.
async fn run(config: RetryConfig, inner: Scripted) -> (Result<&'static str>, usize, Duration) {
    let begun = Instant::now();
    let result = RetryLayer::new(config).unwrap().layer(inner.clone()).oneshot(()).await;
    (result, inner.started(), begun.elapsed())
}

#[test]
fn the_policy_follows_its_table_of_errors() {
    tables::run(include_str!("tables/retry.json"), 16, |config, _| {
        let policy = RetryPolicy::new(config);
        let mut retries = 0;
        Box::new(move |event| {
            let (error, chance) = failure(event);
            match policy.decide(retries, &error, chance) {
                Decision::GiveUp => "give up".to_owned(),
                Decision::RetryAfter(wait) => {
                    retries += 1;
                    format!("after {}", wait.as_millis())
                }
            }
        })
    });
}

/// `KIND`, and `wish=MS`, `retry=never|later|exhausted`, `chance=C`; without a chance it is the worst.
fn failure(event: &str) -> (Error, f64) {
    let (kind, settings) = words(event);
    let kind: ErrorKind = serde_json::from_value(kind.into()).unwrap();
    let (mut error, mut chance) = (Error::new(kind, "complete"), 1.0);
    for (name, value) in settings.split_whitespace().filter_map(|setting| setting.split_once('=')) {
        match name {
            "wish" => error = error.with_retry_after(Duration::from_millis(value.parse().unwrap())),
            "retry" => error = error.with_retry(serde_json::from_value(value.into()).unwrap()),
            "chance" => chance = value.parse().unwrap(),
            other => panic!("unknown setting {other}"),
        }
    }
    (error, chance)
}

fn exact(component: Component) -> RetryConfig {
    RetryConfig { jitter: Jitter::None, ..component.retry() }
}

fn after(secs: u64) -> Error {
    Error::new(ErrorKind::RateLimited, "complete").with_retry_after(Duration::from_secs(secs))
}

#[tokio::test(start_paused = true)]
async fn a_call_is_repeated_until_it_succeeds() {
    let inner = Scripted::new([Err(unavailable()), Err(unavailable()), Ok("third")]);
    let (result, calls, took) = run(exact(Component::Llm), inner).await;
    assert_eq!((result.unwrap(), calls), ("third", 3));
    assert_eq!(took.as_secs(), 1 + 2);
}

#[tokio::test(start_paused = true)]
async fn used_up_retries_mark_the_last_error_and_keep_its_kind() {
    let (result, calls, took) = run(exact(Component::Llm), Scripted::new([Err(unavailable())])).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Exhausted));
    assert_eq!((calls, error.context("attempts")), (4, Some("4")));
    assert_eq!(took.as_secs(), 1 + 2 + 4);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_repetition_cannot_help_is_passed_on_as_it_is() {
    for error in [Error::new(ErrorKind::InvalidInput, "complete"), unavailable().with_retry(Retry::Exhausted)]
    {
        let (result, calls, took) = run(exact(Component::Llm), Scripted::new([Err(error.clone())])).await;
        let seen = result.unwrap_err();
        assert_eq!(
            (seen.kind(), seen.retry(), seen.context("attempts")),
            (error.kind(), error.retry(), None)
        );
        assert_eq!((calls, took), (1, Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_that_the_other_side_asks_for_is_kept() {
    let (result, calls, took) =
        run(exact(Component::Llm), Scripted::new([Err(after(20)), Ok("second")])).await;
    assert_eq!((result.unwrap(), calls, took.as_secs()), ("second", 2, 20));
}

#[tokio::test(start_paused = true)]
async fn a_wish_beyond_the_cap_ends_the_retries_at_once() {
    let year = 365 * 86_400;
    let (result, calls, took) = run(exact(Component::Llm), Scripted::new([Err(after(year))])).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, Retry::Exhausted));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(year)), "the caller can still park the work");
    assert_eq!((calls, took), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn services_are_cloned_when_a_retry_happens_and_not_before() {
    let inner = readiness::Strict::failing(0);
    let service = RetryLayer::new(exact(Component::Llm)).unwrap().layer(inner.clone());
    let mut service = service.clone();
    let before = inner.clones();
    for _ in 0..3 {
        service.ready().await.unwrap().call(()).await.unwrap();
    }
    assert_eq!(inner.clones(), before);
    let inner = readiness::Strict::failing(2);
    let mut service = RetryLayer::new(exact(Component::Llm)).unwrap().layer(inner.clone());
    let before = inner.clones();
    service.ready().await.unwrap().call(()).await.unwrap();
    assert_eq!(inner.clones() - before, 2, "two retries, each asked for readiness");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_called_after_the_future_was_dropped() {
    let inner = Scripted::new([Err(unavailable())]);
    let call = RetryLayer::new(exact(Component::Llm)).unwrap().layer(inner.clone()).oneshot(());
    assert!(tokio::time::timeout(Duration::from_millis(500), call).await.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(inner.started(), 1);
}

#[test]
fn delays_stay_within_their_bound_however_absurd_the_configuration() {
    for backoff in [Backoff::Fixed, Backoff::Linear, Backoff::Exponential] {
        let config = RetryConfig {
            max_retries: u32::MAX,
            backoff,
            first_delay: Duration::MAX,
            max_delay: Duration::MAX,
            max_retry_after: Duration::MAX,
            ..RetryConfig::default()
        };
        let policy = RetryPolicy::new(config);
        let forever = after(0).with_retry_after(Duration::MAX);
        assert_eq!(policy.decide(u32::MAX - 1, &forever, 1.0), Decision::RetryAfter(Duration::MAX));
        assert_eq!(policy.decide(u32::MAX, &forever, 1.0), Decision::GiveUp);
    }
}

proptest! {
    #[test]
    fn full_jitter_stays_below_the_delay_and_never_undercuts_a_wish(
        retries in 0u32..3,
        wish_ms in 0u64..60_000,
        chance in 0.0f64..1.0,
    ) {
        let policy = RetryPolicy::new(Component::Llm.retry());
        let wish = Duration::from_millis(wish_ms);
        let Decision::RetryAfter(plain) = policy.decide(retries, &unavailable(), chance) else {
            return Err(TestCaseError::fail("gave up"));
        };
        prop_assert!(plain <= policy.delay(retries));
        let wished = policy.decide(retries, &unavailable().with_retry_after(wish), chance);
        prop_assert_eq!(wished, Decision::RetryAfter(wish + plain));
    }
}
