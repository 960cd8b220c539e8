//! The layers on the happy path, and what a refusal costs.
//!
//! `cargo bench --bench layers`; beside other crates' layers, and with allocations counted, they are measured by
//! `cargo run --release --manifest-path benches/peers/Cargo.toml -- layers`.
//!
//! A *call* asks the stack for readiness, calls it and polls the future. Where nothing else is said the service inside
//! answers at the first poll and holds a pointer, as a client does: a layer that clones the service for each call, as
//! tower's retry does, pays for the pointer there, and one that clones where a call fails does not. The clock is the
//! processor's counter.

#[allow(dead_code, reason = "shared with benchmarks that compare")]
#[path = "support/rounds.rs"]
mod rounds;
#[path = "support/stack.rs"]
mod stack;
#[allow(dead_code, reason = "shared with benchmarks that compare")]
#[path = "support/table.rs"]
mod table;

use agentscale_core::layers::{
    AdaptiveConcurrency, AdaptiveConcurrencyConfig, AdaptiveConcurrencyLayer, Bulkhead, BulkheadConfig,
    BulkheadLayer, CallClockLayer, CircuitBreaker, CircuitBreakerConfig, CircuitBreakerLayer, Component,
    Hedge, HedgeConfig, HedgeLayer, Layer, PriorityShed, PriorityShedConfig, PriorityShedLayer, RateLimit,
    RateLimitLayer, RetryBudget, RetryBudgetConfig, RetryLayer, TimeoutLayer,
};
use agentscale_core::{Error, Priority, Result};
use rounds::{Measure, Rounds};
use stack::{AtOnce, Later, call, clock, each, eight, fast};
use table::{Required, nanos};

/// Short ones, of which a busy machine interrupts few.
const ROUNDS: usize = 301;
const CALLS: usize = 4_000;

fn main() -> Result<()> {
    // Timers are armed where a call is pending.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|error| {
        Error::new(agentscale_core::ErrorKind::Internal, "start a runtime").with_source(error)
    })?;
    let _context = runtime.enter();
    stacks()?;
    singles()?;
    refusals()
}

fn stacks() -> Result<()> {
    let (mut bare, mut eight_at_once, mut eight_later) =
        (AtOnce::default(), eight(AtOnce::default())?, eight(Later::default())?);
    let rounds = Rounds::run(
        ROUNDS,
        &mut [
            Box::new(|| call(&mut bare, CALLS)),
            Box::new(|| call(&mut eight_at_once, CALLS)),
            Box::new(|| call(&mut eight_later, CALLS / 4)),
        ],
    );
    println!("\n| a call through | ns | required | |\n|---|---|---|---|");
    let line = |what, at, required: Required| {
        let value = rounds.median(at);
        println!("| {what} | {:.0} | {required} | {} |", value * 1e9, required.met_by(value * 1e9));
    };
    line("no layer", 0, Required::Nothing);
    line("eight layers", 1, Required::AtMost(150.0));
    line("eight layers, pending once", 2, Required::AtMost(500.0));
    Ok(())
}

fn singles() -> Result<()> {
    let clock = clock();
    let budget = RetryBudget::new(&RetryBudgetConfig::default(), clock.clone())?;
    let adaptive = AdaptiveConcurrency::new(&AdaptiveConcurrencyConfig::default(), clock.clone())?;
    let shed = PriorityShed::new(&PriorityShedConfig::default())?;
    let hedge = Hedge::new(&HedgeConfig::default(), clock.clone())?;
    let bulkhead = Bulkhead::new(&BulkheadConfig::default(), clock.clone())?;
    let breaker = CircuitBreaker::new("llm", CircuitBreakerConfig::default(), clock.clone())?;
    let limit = RateLimit::new(&fast(), clock.clone())?;
    // Each within the layer that holds the clock, as in a stack.
    let held = CallClockLayer::new(&clock);
    let mut none = held.layer(AtOnce::default());
    let mut retry =
        held.layer(RetryLayer::new(Component::Llm.retry())?.with_budget(budget).layer(AtOnce::default()));
    let mut shed =
        held.layer(PriorityShedLayer::new(shed, |(): &()| Priority::Conversation).layer(AtOnce::default()));
    let mut hedge = held.layer(HedgeLayer::new(hedge, |(): &()| true).layer(AtOnce::default()));
    let mut bulkhead = held.layer(BulkheadLayer::new(bulkhead).layer(AtOnce::default()));
    let mut adaptive = held.layer(AdaptiveConcurrencyLayer::new(adaptive).layer(AtOnce::default()));
    let mut breaker = held.layer(CircuitBreakerLayer::new(breaker).layer(AtOnce::default()));
    let mut limit = held.layer(RateLimitLayer::new(limit).layer(AtOnce::default()));
    let mut timeout = held.layer(TimeoutLayer::new(Component::Llm.timeout())?.layer(AtOnce::default()));
    let mut measures: [(&str, Measure<'_>); 9] = [
        ("none, the clock held", Box::new(|| call(&mut none, CALLS))),
        ("retry with a budget", Box::new(|| call(&mut retry, CALLS))),
        ("priority shed", Box::new(|| call(&mut shed, CALLS))),
        ("hedge", Box::new(|| call(&mut hedge, CALLS))),
        ("bulkhead", Box::new(|| call(&mut bulkhead, CALLS))),
        ("adaptive concurrency", Box::new(|| call(&mut adaptive, CALLS))),
        ("circuit breaker", Box::new(|| call(&mut breaker, CALLS))),
        ("rate limit", Box::new(|| call(&mut limit, CALLS))),
        ("timeout", Box::new(|| call(&mut timeout, CALLS))),
    ];
    let names = measures.each_ref().map(|(name, _)| *name);
    let mut measures = measures.each_mut().map(|(_, measure)| Box::new(measure) as Measure<'_>);
    let rounds = Rounds::run(ROUNDS, &mut measures);
    println!("\n| layer, around the held clock | ns a call |\n|---|---|");
    for (at, name) in names.into_iter().enumerate() {
        println!("| {name} | {} |", nanos(rounds.median(at)));
    }
    Ok(())
}

fn refusals() -> Result<()> {
    let clock = clock();
    let one = serde_json::json!({ "calls": 1, "per_ms": 3_600_000, "burst": 1 });
    let limit = RateLimit::new(&serde_json::from_value(one).expect("a valid rate"), clock.clone())?;
    limit.try_acquire()?;
    let bulkhead = Bulkhead::new(&BulkheadConfig { max_in_flight: 1, ..Default::default() }, clock.clone())?;
    let _slot = bulkhead.try_acquire()?;
    let narrow = AdaptiveConcurrencyConfig { initial: 1, ..Default::default() };
    let adaptive = AdaptiveConcurrency::new(&narrow, clock.clone())?;
    let _call = adaptive.try_acquire()?;
    let shed = PriorityShed::new(&PriorityShedConfig { max_in_flight: 1, ..Default::default() })?;
    let _place = shed.try_acquire(Priority::Incident)?;
    let breaker = CircuitBreaker::new("llm", CircuitBreakerConfig::default(), clock)?;
    while let Ok(permit) = breaker.try_acquire() {
        permit.failure();
    }
    let mut measures: [(&str, Measure<'_>); 5] = [
        ("priority shed", Box::new(|| each(CALLS, || shed.try_acquire(Priority::Evaluation).is_err()))),
        ("bulkhead", Box::new(|| each(CALLS, || bulkhead.try_acquire().is_err()))),
        ("adaptive concurrency", Box::new(|| each(CALLS, || adaptive.try_acquire().is_err()))),
        ("circuit breaker", Box::new(|| each(CALLS, || breaker.try_acquire().is_err()))),
        ("rate limit", Box::new(|| each(CALLS, || limit.try_acquire().is_err()))),
    ];
    let names = measures.each_ref().map(|(name, _)| *name);
    let mut measures = measures.each_mut().map(|(_, measure)| Box::new(measure) as Measure<'_>);
    let rounds = Rounds::run(ROUNDS, &mut measures);
    println!("\n| a refusal by | ns | required | |\n|---|---|---|---|");
    for (at, name) in names.into_iter().enumerate() {
        let (value, required) = (rounds.median(at) * 1e9, Required::AtMost(1_000.0));
        println!("| {name} | {value:.0} | {required} | {} |", required.met_by(value));
    }
    Ok(())
}
