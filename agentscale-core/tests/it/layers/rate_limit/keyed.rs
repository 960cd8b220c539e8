use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentscale_core::layers::{
    KeyedRateLimit, KeyedRateLimitConfig, KeyedRateLimitLayer, Layer, RateLimitConfig, Service,
};
use agentscale_core::time::ManualClock;
use agentscale_core::{Error, ErrorKind, Retry};
use proptest::prelude::*;
use tower::{ServiceExt, service_fn};

use super::admission;
use crate::layers::tables;

fn keyed(max_keys: u32, calls: u32, burst: u32) -> (ManualClock, KeyedRateLimit<u64>) {
    let clock = ManualClock::new();
    let limit = RateLimitConfig {
        calls: NonZeroU32::new(calls).unwrap(),
        per: Duration::from_secs(1),
        burst: NonZeroU32::new(burst).unwrap(),
    };
    let config = KeyedRateLimitConfig { limit, max_keys };
    let limit = KeyedRateLimit::new(&config, Arc::new(clock.clone())).unwrap();
    (clock, limit)
}

/// The event is the key of a call.
#[test]
fn the_keyed_limit_follows_its_table_of_events() {
    tables::run(include_str!("../tables/keyed_rate_limit.json"), 6, |config, clock| {
        let limit = KeyedRateLimit::new(&config, clock).unwrap();
        Box::new(move |key| admission(limit.try_acquire(&key.to_owned())))
    });
}

#[test]
fn a_flood_of_keys_gives_nobody_a_fresh_rate_and_takes_no_more_memory() {
    let (clock, limit) = keyed(4_096, 1, 2);
    let victim = 0;
    limit.try_acquire(&victim).unwrap();
    limit.try_acquire(&victim).unwrap();
    let mut admitted = 0;
    for key in 1..100_000 {
        admitted += usize::from(limit.try_acquire(&key).is_ok());
        assert!(limit.try_acquire(&victim).is_err(), "after {key} other keys");
    }
    assert!(limit.keys() <= 4_096);
    assert!(admitted <= 4_096 + 2, "{admitted}: each place once, and one burst for those without one");
    clock.advance(Duration::from_secs(2));
    assert!(limit.try_acquire(&victim).is_ok(), "its own rate came back");
}

#[test]
fn keys_that_have_rested_make_room() {
    let (clock, limit) = keyed(8, 10, 1);
    for round in 0..1_000 {
        for key in 0..8 {
            limit.try_acquire(&(round * 8 + key)).unwrap();
        }
        assert!(limit.keys() <= 8);
        clock.advance(Duration::from_millis(100));
    }
}

#[test]
fn threads_share_the_rate_of_a_key() {
    let (_, limit) = keyed(2_000, 1, 50);
    let admitted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for key in (0..200).cycle().take(20_000) {
                    admitted.fetch_add(usize::from(limit.try_acquire(&key).is_ok()), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 200 * 50);
}

#[tokio::test]
async fn the_layer_counts_each_request_against_its_key() {
    let (_, limit) = keyed(10, 1, 1);
    let started = Arc::new(AtomicUsize::new(0));
    let count = started.clone();
    let inner = service_fn(move |user: u64| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, Error>(user) }
    });
    let layer = KeyedRateLimitLayer::new(limit, |user: &u64| *user);
    let (first, mut second) = (layer.layer(inner.clone()), layer.clone().layer(inner));
    assert_eq!(first.oneshot(1).await.unwrap(), 1);
    let refusal = second.ready().await.unwrap().call(1).await.unwrap_err();
    assert_eq!((refusal.kind(), refusal.retry()), (ErrorKind::RateLimited, Retry::Later));
    assert_eq!(second.oneshot(2).await.unwrap(), 2);
    assert_eq!(started.load(Ordering::SeqCst), 2);
}

#[test]
fn keyed_limits_that_cannot_work_are_refused_and_keys_are_not_shown() {
    for (field, json) in [
        ("max_keys", r#"{"max_keys": 0}"#),
        ("max_keys", r#"{"max_keys": 4294967295}"#),
        ("per_ms", r#"{"limit": {"per_ms": 0}}"#),
    ] {
        let config: KeyedRateLimitConfig = serde_json::from_str(json).unwrap();
        let error = KeyedRateLimit::<String>::new(&config, Arc::new(ManualClock::new())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.context(field).is_some(), "{error}");
    }
    let config = KeyedRateLimitConfig::default();
    let limit = KeyedRateLimit::new(&config, Arc::new(ManualClock::new())).unwrap();
    limit.try_acquire(&"sk-secret").unwrap();
    assert!(!format!("{limit:?}").contains("secret"));
}

proptest! {
    /// Whatever keys come, places are bounded, and each key has its own rate and a part of those without a place at most.
    #[test]
    fn no_order_of_keys_admits_more_than_the_rates(
        max_keys in 1u32..6,
        burst in 1u32..4,
        events in prop::collection::vec((0u64..8, 0u64..2_000), 1..300),
    ) {
        let (clock, limit) = keyed(max_keys, 1, burst);
        let (mut admitted, mut elapsed_ms) = ([0u64; 8], 0);
        for (key, millis) in events {
            if millis < 300 {
                clock.advance(Duration::from_millis(millis));
                elapsed_ms += millis;
            }
            let seen = &mut admitted[key as usize];
            *seen += u64::from(limit.try_acquire(&key).is_ok());
            prop_assert!(limit.keys() <= max_keys as usize);
            let rate = u64::from(burst) + elapsed_ms / 1_000;
            prop_assert!(*seen <= 2 * rate, "key {}: {} of {}", key, seen, rate);
        }
    }
}
