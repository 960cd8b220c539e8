use std::sync::Arc;
use std::time::Duration;

use agentscale_core::Retry;
use agentscale_core::layers::{Layer, RetryBudget, RetryBudgetConfig, RetryConfig, RetryLayer};
use agentscale_core::time::{ManualClock, SystemClock};
use proptest::prelude::*;
use tower::ServiceExt;

use super::{Scripted, tables, unavailable, words};

fn budget(ratio: f64, min_per_sec: u32) -> (Arc<ManualClock>, RetryBudget) {
    let clock = Arc::new(ManualClock::new());
    let config = RetryBudgetConfig { ratio, min_per_sec, ..RetryBudgetConfig::default() };
    (clock.clone(), RetryBudget::new(&config, clock).unwrap())
}

/// How many of so many retries are granted.
fn granted(budget: &RetryBudget, retries: u64) -> u64 {
    (0..retries).map(|_| u64::from(budget.try_retry())).sum()
}

/// `call N`: nothing; `retry N`: how many are granted.
#[test]
fn the_budget_follows_its_table_of_events() {
    tables::run(include_str!("../tables/retry_budget.json"), 10, |config, clock| {
        let budget = RetryBudget::new(&config, clock).unwrap();
        Box::new(move |event| {
            let (verb, times) = words(event);
            let times: u64 = times.parse().unwrap();
            match verb {
                "call" => (0..times).for_each(|_| budget.call()),
                "retry" => return granted(&budget, times).to_string(),
                other => panic!("unknown event {other}"),
            }
            String::new()
        })
    });
}

#[test]
fn the_effective_ratio_is_the_configured_one_for_every_hundredth() {
    const CALLS: u64 = 10_000;
    for hundredths in 1..=100 {
        let ratio = f64::from(hundredths) / 100.0;
        let (_, budget) = budget(ratio, 0);
        let retries: u64 = (0..CALLS)
            .map(|_| {
                budget.call();
                granted(&budget, 5)
            })
            .sum();
        assert_eq!(retries, CALLS * hundredths as u64 / 100, "{ratio}");
    }
}

#[test]
fn at_total_failure_calls_are_amplified_by_the_ratio_and_the_minimum_rate_at_most() {
    for hundredths in 1..=100 {
        let ratio = f64::from(hundredths) / 100.0;
        let (clock, budget) = budget(ratio, 10);
        let (mut calls, mut retries) = (0u64, 0);
        for second in 1..=60 {
            for _ in 0..100 {
                budget.call();
                calls += 1;
                retries += granted(&budget, 3);
                clock.advance(Duration::from_millis(10));
            }
            // The minimum of the first second is there at its beginning.
            let bound = ratio * calls as f64 + 10.0 * f64::from(second + 1);
            assert!(retries as f64 <= bound + 1e-6, "{ratio}: {retries} of {bound} after {second} s");
        }
    }
}

#[test]
fn the_calls_and_retries_of_all_threads_are_counted() {
    let (_, budget) = budget(0.37, 0);
    let config = RetryBudgetConfig { ratio: 0.37, min_per_sec: 0, max_saved: 1_000_000 };
    let roomy = RetryBudget::new(&config, Arc::new(ManualClock::new())).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| roomy.call()));
        }
    });
    let retries: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| granted(&roomy, 10_000))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(retries, 14_800);
    assert!(!budget.clone().try_retry());
}

#[tokio::test(start_paused = true)]
async fn a_used_up_budget_passes_the_error_on_and_says_so() {
    let config = RetryBudgetConfig { ratio: 0.2, min_per_sec: 0, ..RetryBudgetConfig::default() };
    let budget = RetryBudget::new(&config, Arc::new(SystemClock::new())).unwrap();
    let layer = RetryLayer::new(RetryConfig::default()).unwrap().with_budget(budget);
    let inner = Scripted::new([Err(unavailable())]);
    // Two services share what their calls pay.
    let services = [layer.layer(inner.clone()), layer.clone().layer(inner.clone())];
    let mut errors = Vec::new();
    for call in 0..10 {
        errors.push(services[call % 2].clone().oneshot(()).await.unwrap_err());
    }
    assert_eq!(inner.started(), 10 + 2, "a fifth of the calls");
    let first = &errors[0];
    assert_eq!((first.retry(), first.context("attempts")), (Retry::Exhausted, Some("1")));
    assert_eq!(first.context("retry_budget"), Some("exhausted"));
    assert_eq!(errors[4].context("attempts"), Some("2"), "the fifth call pays for the first retry");
}

proptest! {
    #[test]
    fn no_order_of_events_grants_more_than_calls_and_time_pay_for(
        millionths in 0u32..=1_000_000,
        min_per_sec in 0u32..20,
        events in prop::collection::vec((0u8..4, 0u64..400), 1..300),
    ) {
        let ratio = f64::from(millionths) / 1e6;
        let (clock, budget) = budget(ratio, min_per_sec);
        let (mut calls, mut retries, mut elapsed) = (0u64, 0u64, 0u64);
        for (event, amount) in events {
            match event {
                0 => (0..amount).for_each(|_| { budget.call(); calls += 1; }),
                1 => { clock.advance(Duration::from_millis(amount)); elapsed += amount; }
                _ => retries += granted(&budget, amount / 8),
            }
            let paid = u64::from(millionths) * calls / 1_000_000;
            let minimum = u64::from(min_per_sec) * (elapsed + 1_000) / 1_000;
            prop_assert!(retries <= paid + minimum, "{} of {} + {}", retries, paid, minimum);
        }
    }
}
