mod breaker;
mod config;
mod opened;
mod permit;
mod shared;
mod state;
mod summary;
mod sync;
#[cfg(test)]
mod tests;
mod window;

use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::AdmissionFuture;
use crate::{Error, Result};

pub use breaker::CircuitBreaker;
pub use config::{CircuitBreakerConfig, CircuitRates, CircuitTrip, ConsecutiveFailures};
pub use opened::{OpenCause, Opened};
pub use permit::Permit;
pub use state::CircuitState;

/// Refuses calls with `circuit_open` while the other side fails.
///
/// Default: 5 consecutive failures within 30 s open it for 30 s. Position: inside retries, outside rate limits and a
/// timeout, which ends a probe that hangs; without one the probe is given up after
/// [`max_half_open`](CircuitBreakerConfig::max_half_open). The breaker is asked before the inner service's readiness, and refuses in `call`,
/// never in `poll_ready`. A call that is dropped before its end records nothing; if it was the probe of a
/// half-open circuit, the next call becomes the probe.
#[derive(Clone, Debug)]
pub struct CircuitBreakerLayer {
    breaker: CircuitBreaker,
}

impl CircuitBreakerLayer {
    /// A layer whose services share `breaker`, with their clones and with whoever else holds a clone of it.
    pub fn new(breaker: CircuitBreaker) -> Self {
        Self { breaker }
    }
}

impl<S> Layer<S> for CircuitBreakerLayer {
    type Service = CircuitBreakerService<S>;

    fn layer(&self, inner: S) -> CircuitBreakerService<S> {
        CircuitBreakerService { inner, breaker: self.breaker.clone(), refusal: None }
    }
}

/// The service of [`CircuitBreakerLayer`].
#[derive(Debug)]
pub struct CircuitBreakerService<S> {
    inner: S,
    breaker: CircuitBreaker,
    /// Set while this service is ready only to refuse: its inner service was not asked for readiness.
    refusal: Option<Error>,
}

impl<S: Clone> Clone for CircuitBreakerService<S> {
    /// Readiness belongs to one instance, and so does the refusal that stands in for it.
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), breaker: self.breaker.clone(), refusal: None }
    }
}

impl<S, Q> Service<Q> for CircuitBreakerService<S>
where
    S: Service<Q, Error = Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = AdmissionFuture<S::Future, Permit>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.refusal = self.breaker.refusal();
        if self.refusal.is_some() {
            return Poll::Ready(Ok(()));
        }
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let permit = self.refusal.take().map_or_else(|| self.breaker.try_acquire(), Err);
        match permit {
            Ok(permit) => AdmissionFuture::admitted(self.inner.call(request), permit),
            Err(refusal) => AdmissionFuture::refused(refusal),
        }
    }
}
