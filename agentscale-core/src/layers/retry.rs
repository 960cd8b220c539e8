mod config;
mod future;
mod policy;

use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::{Error, Result};

pub use config::{Backoff, Jitter, RetryConfig};
pub use future::RetryFuture;
pub use policy::{Decision, RetryPolicy};

/// Calls again, after a while, where [`Error::retry`] says that it may help.
///
/// Position: outside everything that belongs to one attempt; inside a timeout that bounds all attempts. Only
/// one retry layer stands in a stack: a retryable error that leaves this one is marked
/// [`Retry::Exhausted`](crate::Retry::Exhausted) and has the context `attempts`. Requests are cloned, and so
/// is the service; repeating must do no harm. Dropping the future ends the attempt or the wait; nothing is
/// called afterwards.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    policy: RetryPolicy,
}

impl RetryLayer {
    /// A layer that retries by `config`.
    pub fn new(config: RetryConfig) -> Self {
        Self { policy: RetryPolicy::new(config) }
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        Retry { inner, policy: self.policy.clone() }
    }
}

/// The service of [`RetryLayer`].
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    policy: RetryPolicy,
}

impl<S, Q> Service<Q> for Retry<S>
where
    S: Service<Q, Error = Error> + Clone,
    Q: Clone,
{
    type Response = S::Response;
    type Error = Error;
    type Future = RetryFuture<S, Q>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        // The instance that was asked for readiness makes this call; its clone has to be asked anew.
        let again = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, again);
        let call = ready.call(request.clone());
        RetryFuture::new(self.policy.clone(), ready, request, call)
    }
}
