use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentscale_core::layers::{Hedge, HedgeConfig, HedgeLayer, HedgeTrigger, Layer, Service};
use agentscale_core::time::{Clock, ManualClock, SystemClock};
use agentscale_core::{Error, ErrorKind, Result};
use futures::FutureExt;
use proptest::prelude::*;
use tokio::time::{Instant, sleep};
use tower::{ServiceExt, service_fn};

use super::{tables, unavailable};

fn fixed(delay_ms: u64, budget_percent: u32) -> HedgeConfig {
    let trigger = HedgeTrigger::Fixed { delay: Duration::from_millis(delay_ms) };
    HedgeConfig { trigger, budget_percent, ..HedgeConfig::default() }
}

fn hedge(config: &HedgeConfig) -> Hedge {
    Hedge::new(config, Arc::new(SystemClock::new())).unwrap()
}

#[test]
fn the_trigger_follows_its_table_of_events() {
    for case in tables::cases::<HedgeConfig>(include_str!("tables/hedge.json"), 6) {
        let clock = ManualClock::new();
        let hedge = Hedge::new(&case.config, Arc::new(clock.clone())).unwrap();
        for (at_ms, event, expected) in &case.steps {
            clock.advance(Duration::from_millis(*at_ms) - Duration::from_nanos(clock.now().as_nanos()));
            assert_eq!(apply(&clock, &hedge, event), *expected, "{}: {at_ms} {event}", case.name);
        }
    }
}

/// `answer N MS` is N calls, one after another, that take so long; `begin N` is N calls without an answer; `hedge N` is
/// N calls that ask to be made a second time.
fn apply(clock: &ManualClock, hedge: &Hedge, event: &str) -> String {
    let mut words = event.split(' ');
    let kind = words.next();
    let mut numbers = words.map(|word| word.parse::<u64>().unwrap());
    let calls = numbers.next().unwrap();
    if kind == Some("hedge") {
        return format!("{} made", (0..calls).filter(|_| hedge.try_hedge()).count());
    }
    for _ in 0..calls {
        let started = hedge.begin();
        if let Some(took) = numbers.clone().next() {
            clock.advance(Duration::from_millis(took));
            hedge.answered(started);
        }
    }
    hedge.delay().map_or("never".to_owned(), |delay| format!("after {}", delay.as_millis()))
}

/// The nth call takes the nth time and gives the nth answer; the last is repeated.
fn answering(
    calls: &'static [(u64, Result<&'static str, ErrorKind>)],
) -> (Arc<AtomicUsize>, impl Service<(), Response = &'static str, Error = Error> + Clone) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let service = service_fn(move |()| {
        let (takes, answer) = calls[count.fetch_add(1, Ordering::SeqCst).min(calls.len() - 1)];
        async move {
            sleep(Duration::from_millis(takes)).await;
            answer.map_err(|kind| Error::new(kind, "complete"))
        }
    });
    (made, service)
}

async fn run(
    calls: &'static [(u64, Result<&'static str, ErrorKind>)],
) -> (Result<&'static str, ErrorKind>, u128, usize) {
    let (made, service) = answering(calls);
    let service = HedgeLayer::new(hedge(&fixed(100, 100)), |(): &()| true).layer(service);
    let begun = Instant::now();
    let answer = service.oneshot(()).await.map_err(|error| error.kind());
    (answer, begun.elapsed().as_millis(), made.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn the_answer_that_comes_first_is_taken() {
    assert_eq!(run(&[(50, Ok("first"))]).await, (Ok("first"), 50, 1));
    assert_eq!(run(&[(900, Ok("first")), (100, Ok("second"))]).await, (Ok("second"), 200, 2));
    assert_eq!(run(&[(150, Ok("first")), (100, Ok("second"))]).await, (Ok("first"), 150, 2));
}

#[tokio::test(start_paused = true)]
async fn an_error_waits_for_the_other_call_and_alone_is_passed_on_at_once() {
    const BAD: Result<&str, ErrorKind> = Err(ErrorKind::Unavailable);
    assert_eq!(run(&[(50, BAD)]).await, (BAD, 50, 1));
    assert_eq!(run(&[(150, BAD), (300, Ok("second"))]).await, (Ok("second"), 400, 2));
    assert_eq!(run(&[(300, Ok("first")), (50, BAD)]).await, (Ok("first"), 300, 2));
    const OTHER: Result<&str, ErrorKind> = Err(ErrorKind::Overloaded);
    assert_eq!(run(&[(150, OTHER), (300, BAD)]).await, (OTHER, 400, 2), "of two errors the first call's");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_not_be_sent_twice_is_not() {
    let (made, service) = answering(&[(900, Ok("first"))]);
    let hedge = hedge(&fixed(100, 100));
    let service = HedgeLayer::new(hedge, |(): &()| false).layer(service);
    assert_eq!(service.oneshot(()).await.unwrap(), "first");
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn extra_calls_keep_within_the_budget() {
    let (made, service) = answering(&[(900, Ok("slow"))]);
    let service = HedgeLayer::new(hedge(&fixed(100, 10)), |(): &()| true).layer(service);
    for _ in 0..100 {
        assert_eq!(service.clone().oneshot(()).await.unwrap(), "slow");
    }
    assert_eq!(made.load(Ordering::SeqCst), 110);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_drops_both_calls() {
    let alive = Arc::new(());
    let held = alive.clone();
    let service = service_fn(move |()| {
        let held = held.clone();
        async move {
            sleep(Duration::from_secs(60)).await;
            drop(held);
            Err::<(), _>(unavailable())
        }
    });
    let service = HedgeLayer::new(hedge(&fixed(100, 100)), |(): &()| true).layer(service);
    let before = Arc::strong_count(&alive);
    let call = service.clone().oneshot(());
    let mut call = Box::pin(call);
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut call).await.is_err());
    assert!(Arc::strong_count(&alive) > before + 1, "both are under way");
    drop(call);
    assert_eq!(Arc::strong_count(&alive), before);
}

#[test]
fn a_call_that_is_ready_at_its_first_poll_arms_no_timer() {
    // A tokio timer outside a runtime panics.
    let service = service_fn(async |()| Ok::<_, Error>("at once"));
    let service = HedgeLayer::new(hedge(&fixed(0, 100)), |(): &()| true).layer(service);
    assert_eq!(service.oneshot(()).now_or_never().unwrap().unwrap(), "at once");
}

#[test]
fn bounds_that_are_zero_or_absurd_are_invalid_by_name() {
    let percentile = |percent, min_samples| HedgeTrigger::Percentile { percent, min_samples };
    let triggered = |trigger| HedgeConfig { trigger, ..HedgeConfig::default() };
    for (field, bad) in [
        ("budget_percent", fixed(1, 0)),
        ("budget_percent", fixed(1, 101)),
        ("delay_ms", fixed(u64::MAX, 1)),
        ("window_ms", HedgeConfig { window: Duration::ZERO, ..HedgeConfig::default() }),
        ("percent", triggered(percentile(0, 50))),
        ("percent", triggered(percentile(100, 50))),
        ("min_samples", triggered(percentile(95, 0))),
    ] {
        let error = Hedge::new(&bad, Arc::new(ManualClock::new())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.context(field).is_some(), "{error}");
    }
    assert!(serde_json::from_str::<HedgeConfig>(r#"{"delay": 3}"#).is_err());
}

proptest! {
    /// Whenever second calls are asked for, there are never more than the budget's part of all calls.
    #[test]
    fn second_calls_never_exceed_their_part(
        budget_percent in 1_u32..=100,
        window_ms in 1_u64..1_000,
        events in prop::collection::vec((any::<bool>(), 0_u64..50), 1..2_000),
    ) {
        let window = Duration::from_millis(window_ms);
        let clock = ManualClock::new();
        let config = HedgeConfig { budget_percent, window, ..HedgeConfig::default() };
        let hedge = Hedge::new(&config, Arc::new(clock.clone())).unwrap();
        let (mut calls, mut second) = (0_u64, 0_u64);
        for (begins, millis) in events {
            clock.advance(Duration::from_millis(millis));
            if begins {
                hedge.answered(hedge.begin());
                calls += 1;
            } else {
                second += u64::from(hedge.try_hedge());
            }
            prop_assert!(second * 100 <= calls * u64::from(budget_percent));
        }
    }
}
