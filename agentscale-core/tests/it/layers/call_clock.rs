use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentscale_core::layers::{
    AdaptiveConcurrency, AdaptiveConcurrencyConfig, AdaptiveConcurrencyLayer, Bulkhead, BulkheadConfig,
    BulkheadLayer, CallClockLayer, CircuitBreaker, CircuitBreakerConfig, CircuitBreakerLayer, CircuitRates,
    CircuitTrip, Component, ConsecutiveFailures, KeyedRateLimit, KeyedRateLimitConfig, KeyedRateLimitLayer,
    Layer, RateLimit, RateLimitConfig, RateLimitLayer, RetryBudget, RetryBudgetConfig, RetryConfig,
    RetryLayer, Service, TimeoutLayer,
};
use agentscale_core::time::{CallClock, Clock, ManualClock, Monotonic};
use agentscale_core::{Error, ErrorKind, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use tower::{ServiceBuilder, ServiceExt, service_fn};

use super::{Scripted, unavailable};

/// Counts its readings; each takes a millisecond.
#[derive(Clone, Debug, Default)]
struct CountingClock {
    readings: Arc<AtomicUsize>,
    time: ManualClock,
}

impl CountingClock {
    fn readings(&self) -> usize {
        self.readings.swap(0, Ordering::SeqCst)
    }
}

impl Clock for CountingClock {
    fn now(&self) -> Monotonic {
        self.readings.fetch_add(1, Ordering::SeqCst);
        self.time.advance(Duration::from_millis(1));
        self.time.now()
    }

    fn unix_micros(&self) -> u64 {
        self.time.unix_micros()
    }
}

type Stack = tower::util::BoxCloneSyncService<(), &'static str, Error>;

/// Every layer that reads a clock.
fn stack(inner: Scripted, retry: RetryConfig, trip: CircuitTrip) -> (CountingClock, Stack) {
    let counting = CountingClock::default();
    let clock = Arc::new(CallClock::new(Arc::new(counting.clone())));
    let config = CircuitBreakerConfig { trip, ..CircuitBreakerConfig::default() };
    let breaker = CircuitBreaker::new("llm", config, clock.clone()).unwrap();
    let limit = RateLimit::new(&RateLimitConfig::default(), clock.clone()).unwrap();
    let keyed = KeyedRateLimit::new(&KeyedRateLimitConfig::default(), clock.clone()).unwrap();
    let budget = RetryBudget::new(&RetryBudgetConfig::default(), clock.clone()).unwrap();
    let bulkhead = Bulkhead::new(&BulkheadConfig::default(), clock.clone()).unwrap();
    let adaptive = AdaptiveConcurrency::new(&AdaptiveConcurrencyConfig::default(), clock.clone()).unwrap();
    let service = ServiceBuilder::new()
        .layer(CallClockLayer::new(&clock))
        .layer(RetryLayer::new(retry).unwrap().with_budget(budget))
        .layer(CircuitBreakerLayer::new(breaker))
        .layer(RateLimitLayer::new(limit))
        .layer(KeyedRateLimitLayer::new(keyed, |(): &()| "everybody"))
        .layer(BulkheadLayer::new(bulkhead))
        .layer(AdaptiveConcurrencyLayer::new(adaptive))
        .layer(TimeoutLayer::new(Component::Llm.timeout()).unwrap())
        .service(inner);
    counting.readings(); // those of the construction
    (counting, Stack::new(service))
}

fn two_failures() -> CircuitTrip {
    let failures = NonZeroU16::new(2).unwrap();
    CircuitTrip::ConsecutiveFailures(ConsecutiveFailures { failures, ..ConsecutiveFailures::default() })
}

fn three_calls_of_which_half_fail() -> CircuitTrip {
    let min_calls = NonZeroU32::new(3).unwrap();
    CircuitTrip::Rates(CircuitRates { min_calls, ..CircuitRates::default() })
}

fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

#[tokio::test]
async fn a_stack_reads_the_clock_once_at_entry_and_once_at_completion() {
    for trip in [two_failures(), three_calls_of_which_half_fail()] {
        let script = Scripted::new([Ok("well"), Err(unavailable())]);
        let (clock, mut stack) = stack(script, no_retries(), trip);
        let mut seen = Vec::new();
        for _ in 0..4 {
            let ready = stack.ready().await.unwrap();
            let asking = clock.readings();
            let call = ready.call(());
            let entry = clock.readings();
            let kind = call.await.err().map(|error| error.kind());
            seen.push((asking, entry, clock.readings(), kind));
        }
        let unavailable = Some(ErrorKind::Unavailable);
        assert_eq!(seen[..3], [(0, 1, 1, None), (0, 1, 1, unavailable), (0, 1, 1, unavailable)]);
        assert_eq!(seen[3], (1, 0, 0, Some(ErrorKind::CircuitOpen)), "a refusal is one reading");
    }
}

#[test]
fn attempts_within_one_poll_have_readings_of_their_own() {
    let at_once = RetryConfig { first_delay: Duration::ZERO, ..RetryConfig::default() };
    let inner = Scripted::new([Err(unavailable()), Ok("second")]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (clock, mut stack) = stack(inner, at_once, two_failures());
    runtime.block_on(async {
        assert_eq!(stack.ready().await.unwrap().call(()).await.unwrap(), "second");
    });
    assert_eq!(clock.readings(), 4, "entry and completion of two attempts");
}

/// A service that reads `clock` when it is called and when it ends.
fn timed(
    clock: CallClock,
) -> impl Service<(), Response = Monotonic, Error = Error, Future = BoxFuture<'static, Result<Monotonic>>> {
    service_fn(move |()| {
        let clock = clock.clone();
        async move { Ok(clock.now()) }.boxed()
    })
}

#[tokio::test]
async fn a_stack_within_a_stack_has_its_own_reading_and_leaves_the_outer_one() {
    let beneath = ManualClock::new();
    let clock = CallClock::new(Arc::new(beneath.clone()));
    let inner = CallClockLayer::new(&clock).layer(timed(clock.clone()));
    clock.hold(|| {
        let outer = clock.now();
        beneath.advance(Duration::from_secs(1));
        let within = inner.oneshot(()).now_or_never().unwrap().unwrap();
        assert_eq!(within.since(outer), Duration::from_secs(1));
        assert_eq!(clock.now(), outer);
    });
    assert_eq!(clock.now(), beneath.now(), "outside of a call it reads through");
}

#[test]
fn holding_one_clock_leaves_others_running() {
    let beneath = ManualClock::new();
    let held = CallClock::new(Arc::new(beneath.clone()));
    let other = CallClock::new(Arc::new(beneath.clone()));
    held.hold(|| {
        let before = (held.now(), other.now());
        beneath.advance(Duration::from_secs(1));
        assert_eq!(held.clone().now(), before.0, "a clone is the same clock");
        assert_eq!(other.now().since(before.1), Duration::from_secs(1));
    });
}

#[test]
fn a_panic_in_a_call_ends_the_hold() {
    let beneath = ManualClock::new();
    let clock = CallClock::new(Arc::new(beneath.clone()));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        clock.hold(|| {
            clock.now();
            panic!("in mid call");
        })
    }));
    assert!(panicked.is_err());
    beneath.advance(Duration::from_secs(1));
    assert_eq!(clock.now(), beneath.now());
}
