mod aimd;
mod config;
mod gradient;
mod limit;
mod machine;
mod permit;

use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::AdmissionFuture;
use crate::{Error, Result};

pub use config::{AdaptiveConcurrencyConfig, ConcurrencyAlgorithm};
pub use limit::AdaptiveConcurrency;
pub use permit::ConcurrencyPermit;

/// Bounds the calls in flight by what the other side was seen to bear; refuses with `overloaded`.
///
/// Defaults: by AIMD, 20 calls at first, then 1 to 200. Position: outside the breaker and the rate limit, whose
/// refusals say nothing about the other side and are not recorded; inside a bulkhead, whose refusals would be.
/// A call that takes too long is a sign of overload, so a timeout stands inside. The limit is asked in `call`,
/// never in `poll_ready`. A call that is dropped gives back its place and records nothing.
#[derive(Clone, Debug)]
pub struct AdaptiveConcurrencyLayer {
    limit: AdaptiveConcurrency,
}

impl AdaptiveConcurrencyLayer {
    /// A layer whose services share `limit`, with their clones and with whoever else holds a clone of it.
    pub fn new(limit: AdaptiveConcurrency) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for AdaptiveConcurrencyLayer {
    type Service = AdaptiveConcurrencyService<S>;

    fn layer(&self, inner: S) -> AdaptiveConcurrencyService<S> {
        AdaptiveConcurrencyService { inner, limit: self.limit.clone() }
    }
}

/// The service of [`AdaptiveConcurrencyLayer`].
#[derive(Clone, Debug)]
pub struct AdaptiveConcurrencyService<S> {
    inner: S,
    limit: AdaptiveConcurrency,
}

impl<S, Q> Service<Q> for AdaptiveConcurrencyService<S>
where
    S: Service<Q, Error = Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = AdmissionFuture<S::Future, ConcurrencyPermit>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Q) -> Self::Future {
        match self.limit.try_acquire() {
            Ok(permit) => AdmissionFuture::admitted(self.inner.call(request), permit),
            Err(refusal) => AdmissionFuture::refused(refusal),
        }
    }
}
