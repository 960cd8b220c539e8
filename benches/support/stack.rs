//! The eight layers around a service that is ready, and how a call through a stack is timed.

use std::future::{Future, Ready};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use agentscale_core::layers::{
    AdaptiveConcurrency, AdaptiveConcurrencyConfig, AdaptiveConcurrencyLayer, Bulkhead, BulkheadConfig,
    BulkheadLayer, CallClockLayer, CircuitBreaker, CircuitBreakerConfig, CircuitBreakerLayer, Component,
    Hedge, HedgeConfig, HedgeLayer, Layer, PriorityShed, PriorityShedConfig, PriorityShedLayer, RateLimit,
    RateLimitConfig, RateLimitLayer, RetryBudget, RetryBudgetConfig, RetryLayer, Service, TimeoutLayer,
};
use agentscale_core::time::{CallClock, TscClock};
use agentscale_core::{Error, Priority, Result};

/// A service that answers at the first poll. What it shares with its clones is behind a pointer, as a client's is.
#[derive(Clone, Debug, Default)]
pub(crate) struct AtOnce(#[allow(dead_code, reason = "held, not read")] Arc<()>);

impl Service<()> for AtOnce {
    type Response = ();
    type Error = Error;
    type Future = Ready<Result<()>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        std::future::ready(Ok(()))
    }
}

/// A service that answers at the second poll.
#[derive(Clone, Debug, Default)]
pub(crate) struct Later(#[allow(dead_code, reason = "held, not read")] Arc<()>);

#[derive(Debug, Default)]
pub(crate) struct SecondPoll(bool);

impl Future for SecondPoll {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl Service<()> for Later {
    type Response = ();
    type Error = Error;
    type Future = SecondPoll;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        SecondPoll::default()
    }
}

pub(crate) fn clock() -> Arc<CallClock> {
    Arc::new(CallClock::new(Arc::new(TscClock::new())))
}

/// A rate that no benchmark reaches.
pub(crate) fn fast() -> RateLimitConfig {
    let many = std::num::NonZeroU32::MAX.get() / 8;
    serde_json::from_value(serde_json::json!({ "calls": many, "burst": many })).expect("a valid rate")
}

/// All layers in the recommended order, with a clock of the processor's counter.
pub(crate) fn eight<S>(inner: S) -> Result<impl Service<(), Response = (), Error = Error> + Clone>
where
    S: Service<(), Response = (), Error = Error> + Clone,
{
    let clock = clock();
    let budget = RetryBudget::new(&RetryBudgetConfig::default(), clock.clone())?;
    let adaptive = AdaptiveConcurrency::new(&AdaptiveConcurrencyConfig::default(), clock.clone())?;
    let shed = PriorityShed::new(&PriorityShedConfig::default())?.with_limit_of(adaptive.clone());
    let hedge = Hedge::new(&HedgeConfig::default(), clock.clone())?;
    let bulkhead = Bulkhead::new(&BulkheadConfig::default(), clock.clone())?;
    let breaker = CircuitBreaker::new("llm", CircuitBreakerConfig::default(), clock.clone())?;
    let limit = RateLimit::new(&fast(), clock.clone())?;

    let stack = TimeoutLayer::new(Component::Llm.timeout())?.layer(inner);
    let stack = RateLimitLayer::new(limit).layer(stack);
    let stack = CircuitBreakerLayer::new(breaker).layer(stack);
    let stack = AdaptiveConcurrencyLayer::new(adaptive).layer(stack);
    let stack = BulkheadLayer::new(bulkhead).layer(stack);
    let stack = HedgeLayer::new(hedge, |(): &()| true).layer(stack);
    let stack = PriorityShedLayer::new(shed, |(): &()| Priority::Conversation).layer(stack);
    let stack = RetryLayer::new(Component::Llm.retry())?.with_budget(budget).layer(stack);
    Ok(CallClockLayer::new(&clock).layer(stack))
}

/// Seconds for one call of a service that is ready.
pub(crate) fn call<S, E>(service: &mut S, calls: usize) -> f64
where
    S: Service<(), Response = (), Error = E>,
{
    let mut context = Context::from_waker(Waker::noop());
    each(calls, || {
        let ready = service.poll_ready(&mut context);
        assert!(matches!(ready, Poll::Ready(Ok(()))), "the service is ready");
        let mut call = pin!(service.call(()));
        while call.as_mut().poll(&mut context).is_pending() {}
    })
}

/// Seconds for one step.
pub(crate) fn each<T>(times: usize, mut step: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        black_box(step());
    }
    start.elapsed().as_secs_f64() / times as f64
}
