mod budget;
mod config;
mod future;
mod policy;

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::{Error, Result};

pub use budget::{RetryBudget, RetryBudgetConfig};
pub use config::{Backoff, Jitter, RetryConfig};
pub use future::RetryFuture;
pub use policy::{Decision, RetryPolicy};

/// Calls again, after a while, where [`Error::retry`] says that it may help.
///
/// Default: three retries within 1, 2 and 4 s, and no budget. Position: outside everything that belongs to one
/// attempt; inside a timeout that bounds all attempts. Only one retry layer stands in a stack: a retryable error
/// that leaves this one is marked [`Retry::Exhausted`](crate::Retry::Exhausted) and has the context `attempts`;
/// where the budget was used up, it also has the context `retry_budget`.
///
/// Requests are cloned at each call and the service at each retry; repeating must do no harm. Dropping the future
/// ends the attempt or the wait; nothing is called afterwards.
#[derive(Clone, Debug)]
pub struct RetryLayer {
    policy: RetryPolicy,
    budget: Option<RetryBudget>,
}

impl RetryLayer {
    /// A layer that retries by `config`.
    ///
    /// # Errors
    ///
    /// `invalid_input` with the name of a field that is out of its bounds.
    pub fn new(config: RetryConfig) -> Result<Self> {
        Ok(Self { policy: RetryPolicy::new(config.checked()?), budget: None })
    }

    /// Retries only as far as `budget` goes. One budget belongs to one component, however many layers stand before
    /// it.
    #[must_use]
    pub fn with_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = Some(budget);
        self
    }
}

impl<S: Clone> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Retry<S> {
        let template = Mutex::new(inner.clone());
        let (policy, budget) = (self.policy.clone(), self.budget.clone());
        Retry { inner, shared: Arc::new(Shared { policy, budget, template }) }
    }
}

/// The service of [`RetryLayer`].
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    shared: Arc<Shared<S>>,
}

/// What a call needs once it has failed.
#[derive(Debug)]
struct Shared<S> {
    policy: RetryPolicy,
    budget: Option<RetryBudget>,
    /// Retries go to clones of this one, which is never called itself. A lock, so that the service need not be `Sync`.
    template: Mutex<S>,
}

impl<S: Clone> Shared<S> {
    /// A service that has to be asked for readiness.
    fn service(&self) -> S {
        self.template.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S, Q> Service<Q> for Retry<S>
where
    S: Service<Q, Error = Error> + Clone,
    Q: Clone,
{
    type Response = S::Response;
    type Error = Error;
    type Future = RetryFuture<S, Q>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Q) -> Self::Future {
        if let Some(budget) = &self.shared.budget {
            budget.call();
        }
        let call = self.inner.call(request.clone());
        RetryFuture::new(Arc::clone(&self.shared), request, call)
    }
}
