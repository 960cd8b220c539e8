mod config;
mod keyed;
mod limit;

use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::AdmissionFuture;
use crate::{Error, Result};

pub use config::RateLimitConfig;
pub use keyed::{KeyedRateLimit, KeyedRateLimitConfig, KeyedRateLimitLayer, KeyedRateLimitService};
pub use limit::RateLimit;

/// Refuses calls beyond a rate with `rate_limited`, which says when the next one may come. It never waits.
///
/// Default: 60 calls a second and at once. Position: inside retries and a circuit breaker, so that each attempt counts and only those that are sent.
/// A call counts when it is made, not when readiness is polled, and counts though it is cancelled later.
#[derive(Clone, Debug)]
pub struct RateLimitLayer {
    limit: RateLimit,
}

impl RateLimitLayer {
    /// A layer whose services share `limit`, with their clones and with whoever else holds a clone of it.
    pub fn new(limit: RateLimit) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> RateLimitService<S> {
        RateLimitService { inner, limit: self.limit.clone() }
    }
}

/// The service of [`RateLimitLayer`].
#[derive(Clone, Debug)]
pub struct RateLimitService<S> {
    inner: S,
    limit: RateLimit,
}

impl<S, Q> Service<Q> for RateLimitService<S>
where
    S: Service<Q, Error = Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = AdmissionFuture<S::Future, ()>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        match self.limit.try_acquire() {
            Ok(()) => AdmissionFuture::admitted(self.inner.call(request), ()),
            Err(refusal) => AdmissionFuture::refused(refusal),
        }
    }
}
