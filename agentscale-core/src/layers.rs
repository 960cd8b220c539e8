//! Tower layers for calls that can fail.
//!
//! Each layer is a state machine that can be used without tower, and a thin skin over it. Inner services have
//! [`Error`](crate::Error) as their error; a layer keeps the kind of the errors that it passes on. Futures
//! are not boxed. The documentation of each says its defaults, where it stands, and what becomes of a call whose
//! future is dropped; a configuration that cannot work is refused with `invalid_input` and the name of the field.
//!
//! Layers read top to bottom, outermost first. The order that the descriptions of the layers assume:
//!
//! ```
//! use std::sync::Arc;
//! use agentscale_core::layers::{
//!     CallClockLayer, CircuitBreaker, CircuitBreakerConfig, CircuitBreakerLayer, Component, RateLimit,
//!     RateLimitConfig, RateLimitLayer, RetryBudget, RetryBudgetConfig, RetryLayer, TimeoutLayer,
//! };
//! use agentscale_core::time::{CallClock, SystemClock};
//! use agentscale_core::{Error, Result};
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let clock = Arc::new(CallClock::new(Arc::new(SystemClock::new())));
//! let limit = RateLimit::new(&RateLimitConfig::default(), clock.clone())?;
//! let budget = RetryBudget::new(&RetryBudgetConfig::default(), clock.clone())?;
//! let breaker = CircuitBreaker::new("llm", CircuitBreakerConfig::default(), clock.clone())?;
//!
//! let service = ServiceBuilder::new()
//!     .layer(CallClockLayer::new(&clock)) // one look at the clock where a call enters, one where it ends
//!     .layer(RetryLayer::new(Component::Llm.retry())?.with_budget(budget)) // what is below is one attempt
//!     .layer(CircuitBreakerLayer::new(breaker)) // a refused call takes nothing out of the rate
//!     .layer(RateLimitLayer::new(limit)) // so that only what is sent counts
//!     .layer(TimeoutLayer::new(Component::Llm.timeout())?) // so that the breaker sees a hanging attempt fail
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
