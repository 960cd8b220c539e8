mod config;
mod demand;
mod permit;
mod shed;

use std::fmt;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::AdmissionFuture;
use crate::{Error, Priority, Result};

pub use config::PriorityShedConfig;
pub use permit::ShedPermit;
pub use shed::PriorityShed;

/// Refuses the least urgent calls first, with `overloaded`, when there is not room for all.
///
/// Defaults: 200 calls in flight, at most a tenth of which is kept free for classes above. Position: inside
/// retries, so that each attempt is weighed; outside all else, so that nothing is taken for a call that is
/// refused. The room is asked in `call`, never in `poll_ready`, and nothing waits. A call that is dropped gives
/// back its place.
#[derive(Clone)]
pub struct PriorityShedLayer<P> {
    shed: PriorityShed,
    priority_of: P,
}

impl<P> PriorityShedLayer<P> {
    /// A layer whose services share `shed`, with their clones and with whoever else holds a clone of it.
    /// `priority_of` tells the class of a request.
    pub fn new(shed: PriorityShed, priority_of: P) -> Self {
        Self { shed, priority_of }
    }
}

impl<S, P: Clone> Layer<S> for PriorityShedLayer<P> {
    type Service = PriorityShedService<S, P>;

    fn layer(&self, inner: S) -> PriorityShedService<S, P> {
        PriorityShedService { inner, shed: self.shed.clone(), priority_of: self.priority_of.clone() }
    }
}

/// The service of [`PriorityShedLayer`].
#[derive(Clone)]
pub struct PriorityShedService<S, P> {
    inner: S,
    shed: PriorityShed,
    priority_of: P,
}

impl<S, P, Q> Service<Q> for PriorityShedService<S, P>
where
    S: Service<Q, Error = Error>,
    P: Fn(&Q) -> Priority,
{
    type Response = S::Response;
    type Error = Error;
    type Future = AdmissionFuture<S::Future, ShedPermit>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Q) -> Self::Future {
        match self.shed.try_acquire((self.priority_of)(&request)) {
            Ok(permit) => AdmissionFuture::admitted(self.inner.call(request), permit),
            Err(refusal) => AdmissionFuture::refused(refusal),
        }
    }
}

impl<P> fmt::Debug for PriorityShedLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityShedLayer").field("shed", &self.shed).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, P> fmt::Debug for PriorityShedService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PriorityShedService")
            .field("inner", &self.inner)
            .field("shed", &self.shed)
            .finish_non_exhaustive()
    }
}
