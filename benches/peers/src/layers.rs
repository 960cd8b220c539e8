//! The layers beside those of other crates, in the same rounds.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::layers::{
    Bulkhead, BulkheadConfig, BulkheadLayer, CircuitBreaker, CircuitBreakerConfig, Component, KeyedRateLimit,
    KeyedRateLimitConfig, Layer, RateLimit, RetryLayer, TimeoutLayer,
};
use agentscale_core::{Error, Result};
use governor::{Quota, RateLimiter};
use recloser::Recloser;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::retry::backoff::{Backoff as _, ExponentialBackoff, ExponentialBackoffMaker, MakeBackoff as _};
use tower::util::rng::HasherRng;
use tower_resilience::{bulkhead, circuitbreaker, ratelimiter};

use crate::counting;
use crate::stack::{AtOnce, call, clock, each, eight, fast};
use crate::support::rounds::{Measure, Rounds};
use crate::support::table::{self, Required, nanos};

/// Short ones, of which a busy machine interrupts few.
const ROUNDS: usize = 301;
const CALLS: usize = 4_000;

pub(crate) fn layers() -> Result<()> {
    // tower's timeout arms a timer for each call.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _context = runtime.enter();
    allocations()?;
    stacks()?;
    checks()?;
    singles()
}

fn allocations() -> Result<()> {
    let mut eight = eight(AtOnce::default())?;
    call(&mut eight, CALLS);
    counting::count(true);
    let before = counting::allocations();
    call(&mut eight, CALLS);
    let made = counting::allocations() - before;
    counting::count(false);
    let value = format!("{made} for {CALLS} calls");
    table::line("eight layers, allocations", &value, "", made as f64, Required::AtMost(0.0));
    Ok(())
}

fn stacks() -> Result<()> {
    let mut eight = eight(AtOnce::default())?;
    let mut resilience = resilience();
    let mut towers = LoadShed::new(ConcurrencyLimit::new(
        tower::timeout::Timeout::new(AtOnce::default(), Duration::from_secs(60)),
        64,
    ));
    let rounds = Rounds::run(
        ROUNDS,
        &mut [
            Box::new(|| call(&mut eight, CALLS)),
            Box::new(|| call(&mut resilience, CALLS)),
            Box::new(|| call(&mut towers, CALLS)),
        ],
    );
    beside(
        "eight layers",
        "breaker, bulkhead, limiter of tower-resilience",
        &rounds,
        1,
        Required::AtMost(0.25),
    );
    beside("eight layers", "load_shed, concurrency_limit, timeout of tower", &rounds, 2, Required::Nothing);
    Ok(())
}

fn resilience() -> impl tower::Service<(), Response = (), Error: std::fmt::Debug> {
    let breaker = circuitbreaker::CircuitBreakerLayer::builder().build().expect("valid defaults");
    let bulkhead =
        bulkhead::BulkheadLayer::builder().max_concurrent_calls(64).build().expect("a valid bound");
    let limiter = ratelimiter::RateLimiterLayer::builder()
        .limit_for_period(1_000_000_000)
        .refresh_period(Duration::from_secs(1))
        .build()
        .expect("a valid rate");
    breaker.layer(bulkhead.layer(limiter.layer(AtOnce::default())))
}

/// What is asked without a service.
fn checks() -> Result<()> {
    let breaker = CircuitBreaker::new("llm", CircuitBreakerConfig::default(), clock())?;
    let recloser = Recloser::custom().build();
    let limit = RateLimit::new(&fast(), clock())?;
    let quota = Quota::per_second(NonZeroU32::MAX).allow_burst(NonZeroU32::MAX);
    let governor = RateLimiter::direct(quota);
    let config = KeyedRateLimitConfig { limit: fast(), ..KeyedRateLimitConfig::default() };
    let keyed = KeyedRateLimit::new(&config, clock())?;
    let governor_keyed = RateLimiter::keyed(quota);
    let (next, next_too) = (AtomicU64::new(0), AtomicU64::new(0));
    let key = |next: &AtomicU64| next.fetch_add(1, Ordering::Relaxed) % 1_000;
    let rounds = Rounds::run(
        ROUNDS,
        &mut [
            Box::new(|| each(CALLS, || breaker.call(|| Ok(())))),
            Box::new(|| each(CALLS, || recloser.call(|| Ok::<_, Error>(())))),
            Box::new(|| each(CALLS, || limit.try_acquire())),
            Box::new(|| each(CALLS, || governor.check())),
            Box::new(|| each(CALLS, || keyed.try_acquire(&key(&next)))),
            Box::new(|| each(CALLS, || governor_keyed.check_key(&key(&next_too)))),
        ],
    );
    pair("breaker", "recloser", &rounds, 0, Required::AtMost(1.0));
    pair("limiter", "governor", &rounds, 2, Required::AtMost(1.1));
    pair("limiter of 1,000 keys", "governor", &rounds, 4, Required::AtMost(1.5));
    Ok(())
}

/// One layer around a service.
fn singles() -> Result<()> {
    let mut retry = RetryLayer::new(Component::Llm.retry())?.layer(AtOnce::default());
    let mut towers_retry = tower::retry::Retry::new(UpTo::three_times(), AtOnce::default());
    let mut towers_never = tower::retry::Retry::new(Never, AtOnce::default());
    let mut timeout = TimeoutLayer::new(Component::Llm.timeout())?.layer(AtOnce::default());
    let mut towers_timeout = tower::timeout::Timeout::new(AtOnce::default(), Duration::from_secs(60));
    let mut bulkhead =
        BulkheadLayer::new(Bulkhead::new(&BulkheadConfig::default(), clock())?).layer(AtOnce::default());
    let mut towers_limit = ConcurrencyLimit::new(AtOnce::default(), 64);
    let mut measures: [Measure<'_>; 7] = [
        Box::new(|| call(&mut retry, CALLS)),
        Box::new(|| call(&mut towers_retry, CALLS)),
        Box::new(|| call(&mut timeout, CALLS)),
        Box::new(|| call(&mut towers_timeout, CALLS)),
        Box::new(|| call(&mut bulkhead, CALLS)),
        Box::new(|| call(&mut towers_limit, CALLS)),
        Box::new(|| call(&mut towers_never, CALLS)),
    ];
    let rounds = Rounds::run(ROUNDS, &mut measures);
    pair("retry without failure", "tower, three times by its back-off", &rounds, 0, Required::AtMost(1.0));
    beside("retry without failure", "tower by a policy that never retries", &rounds, 6, Required::Nothing);
    pair("timeout", "tower", &rounds, 2, Required::AtMost(1.0));
    pair("bulkhead", "concurrency_limit of tower", &rounds, 4, Required::AtMost(1.0));
    Ok(())
}

fn pair(what: &str, peer: &str, rounds: &Rounds, at: usize, required: Required) {
    let (ours, theirs) = (nanos(rounds.median(at)), nanos(rounds.median(at + 1)));
    table::line(what, &ours, &format!("{peer} {theirs}"), rounds.ratio(at, at + 1), required);
}

fn beside(what: &str, peer: &str, rounds: &Rounds, at: usize, required: Required) {
    let (ours, theirs) = (nanos(rounds.median(0)), nanos(rounds.median(at)));
    table::line(what, &ours, &format!("{peer} {theirs}"), rounds.ratio(0, at), required);
}

/// A policy of tower's retry that does what ours does: so many retries of what may work later, after tower's own
/// exponential back-off.
#[derive(Clone, Debug)]
struct UpTo {
    left: u32,
    backoff: ExponentialBackoff,
}

impl UpTo {
    fn three_times() -> Self {
        let (first, longest) = (Duration::from_secs(1), Duration::from_secs(60));
        let maker = ExponentialBackoffMaker::new(first, longest, 1.0, HasherRng::default());
        Self { left: 3, backoff: maker.expect("a back-off").make_backoff() }
    }
}

impl tower::retry::Policy<(), (), Error> for UpTo {
    type Future = tokio::time::Sleep;

    fn retry(&mut self, (): &mut (), result: &mut Result<()>) -> Option<Self::Future> {
        let may_work = result.as_ref().is_err_and(|error| error.retry() == agentscale_core::Retry::Later);
        self.left = self.left.checked_sub(u32::from(may_work))?;
        may_work.then(|| self.backoff.next_backoff())
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}

/// A policy of tower's retry that never retries: the least that its layer costs.
#[derive(Clone, Debug)]
struct Never;

impl tower::retry::Policy<(), (), Error> for Never {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, (): &mut (), _: &mut Result<()>) -> Option<Self::Future> {
        None
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}
