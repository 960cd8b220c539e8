//! Tower layers for calls that can fail.
//!
//! Each layer is a state machine that can be used without tower, and a thin skin over it. Inner services have
//! [`Error`](crate::Error) as their error; a layer keeps the kind of the errors that it passes on. Futures
//! are not boxed. The documentation of each says its defaults, where it stands, and what becomes of a call whose
//! future is dropped; a configuration that cannot work is refused with `invalid_input` and the name of the field.
//!
//! Layers read top to bottom, outermost first. The order that the descriptions of the layers assume, with all of them;
//! most stacks need three or four:
//!
//! ```
//! use std::sync::Arc;
//! use agentscale_core::layers::{
//!     AdaptiveConcurrency, AdaptiveConcurrencyConfig, AdaptiveConcurrencyLayer, Bulkhead, BulkheadConfig,
//!     BulkheadLayer, CallClockLayer, CircuitBreaker, CircuitBreakerConfig, CircuitBreakerLayer, Component, Hedge,
//!     HedgeConfig, HedgeLayer, PriorityShed, PriorityShedConfig, PriorityShedLayer, RateLimit, RateLimitConfig,
//!     RateLimitLayer, RetryBudget, RetryBudgetConfig, RetryLayer, TimeoutLayer,
//! };
//! use agentscale_core::time::{CallClock, SystemClock};
//! use agentscale_core::{Error, Priority, Result};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let clock = Arc::new(CallClock::new(Arc::new(SystemClock::new())));
//! let budget = RetryBudget::new(&RetryBudgetConfig::default(), clock.clone())?;
//! let adaptive = AdaptiveConcurrency::new(&AdaptiveConcurrencyConfig::default(), clock.clone())?;
//! let shed = PriorityShed::new(&PriorityShedConfig::default())?.with_limit_of(adaptive.clone());
//! let hedge = Hedge::new(&HedgeConfig::default(), clock.clone())?;
//! let bulkhead = Bulkhead::new(&BulkheadConfig::default(), clock.clone())?;
//! let breaker = CircuitBreaker::new("llm", CircuitBreakerConfig::default(), clock.clone())?;
//! let limit = RateLimit::new(&RateLimitConfig::default(), clock.clone())?;
//!
//! let service = ServiceBuilder::new()
//!     .layer(CallClockLayer::new(&clock)) // one look at the clock where a call enters, one where it ends
//!     .layer(RetryLayer::new(Component::Llm.retry())?.with_budget(budget)) // what is below is one attempt
//!     .layer(PriorityShedLayer::new(shed, |_: &&str| Priority::Conversation)) // nothing is taken for what is shed
//!     .layer(HedgeLayer::new(hedge, |_: &&str| true)) // a second call is bounded and counted like a first
//!     .layer(BulkheadLayer::new(bulkhead)) // its refusals are no sign that the other side has too much
//!     .layer(AdaptiveConcurrencyLayer::new(adaptive)) // learns from attempts, refuses before the breaker counts
//!     .layer(CircuitBreakerLayer::new(breaker)) // a refused call takes nothing out of the rate
//!     .layer(RateLimitLayer::new(limit)) // so that only what is sent counts
//!     .layer(TimeoutLayer::new(Component::Llm.timeout())?) // so that all above see a hanging attempt fail
//!     .service(service_fn(async |question: &'static str| Ok::<_, Error>(question.len())));
//!
//! assert_eq!(service.oneshot("how long?").await?, 9);
//! # Ok(())
//! # }
//! ```
//!
//! Under a [`CallClockLayer`] the time is read twice for a call, however many layers there are. Where those two looks
//! still weigh, [`TscClock`](crate::time::TscClock) beneath costs about a third of
//! [`SystemClock`](crate::time::SystemClock).
//!
//! `docs/write-a-layer.md` shows how to write another one.

mod adaptive_concurrency;
mod admission;
mod bulkhead;
mod call_clock;
mod circuit_breaker;
mod component;
mod hedge;
mod limits;
mod priority_shed;
mod rate_limit;
mod retry;
mod timeout;

pub use adaptive_concurrency::{
    AdaptiveConcurrency, AdaptiveConcurrencyConfig, AdaptiveConcurrencyLayer, AdaptiveConcurrencyService,
    ConcurrencyAlgorithm, ConcurrencyPermit,
};
pub use admission::{AdmissionFuture, Guard};
pub use bulkhead::{
    Bulkhead, BulkheadConfig, BulkheadFuture, BulkheadLayer, BulkheadPermit, BulkheadService,
};
pub use call_clock::{CallClockFuture, CallClockLayer, CallClockService};
pub use circuit_breaker::{
    CircuitBreaker, CircuitBreakerConfig, CircuitBreakerLayer, CircuitBreakerService, CircuitRates,
    CircuitState, CircuitTrip, ConsecutiveFailures, OpenCause, Opened, Permit,
};
pub use component::Component;
pub use hedge::{Hedge, HedgeConfig, HedgeFuture, HedgeLayer, HedgeService, HedgeTrigger};
pub use priority_shed::{
    PriorityShed, PriorityShedConfig, PriorityShedLayer, PriorityShedService, ShedPermit,
};
pub use rate_limit::{
    KeyedRateLimit, KeyedRateLimitConfig, KeyedRateLimitLayer, KeyedRateLimitService, RateLimit,
    RateLimitConfig, RateLimitLayer, RateLimitService,
};
pub use retry::{
    Backoff, Decision, Jitter, Retry, RetryBudget, RetryBudgetConfig, RetryConfig, RetryFuture, RetryLayer,
    RetryPolicy,
};
pub use timeout::{Timeout, TimeoutConfig, TimeoutFuture, TimeoutLayer};
pub use tower_layer::Layer;
pub use tower_service::Service;

/// Compiles and runs the examples of the page.
#[cfg(doctest)]
#[doc = include_str!("../../docs/write-a-layer.md")]
struct WriteALayer;
