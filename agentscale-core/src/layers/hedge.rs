mod config;
mod future;
mod latency;
mod policy;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::{Error, Result};

pub use config::{HedgeConfig, HedgeTrigger};
pub use future::HedgeFuture;
pub use policy::Hedge;

/// Makes a call a second time where the first takes longer than most, and takes the answer that comes first.
///
/// Defaults: after the time that 95 % of the recent answers kept, of which it knows at least 50; at most 5 extra calls
/// for 100 calls. Only requests for which `may_repeat` says so are sent twice: sending them twice must do no harm.
/// Position: inside retries, outside everything that counts or bounds what is sent. A call that is ready at its first
/// poll arms no timer; a service for the second call is cloned and asked for readiness only when it is made. An
/// error of one call waits for the answer of the other. The loser is dropped. Dropping the future drops both calls and
/// records nothing; what the second took out of the budget does not come back.
#[derive(Clone)]
pub struct HedgeLayer<P> {
    hedge: Hedge,
    may_repeat: P,
}

impl<P> HedgeLayer<P> {
    /// A layer whose services share `hedge`, with their clones and with whoever else holds a clone of it.
    pub fn new(hedge: Hedge, may_repeat: P) -> Self {
        Self { hedge, may_repeat }
    }
}

impl<S: Clone, P: Clone> Layer<S> for HedgeLayer<P> {
    type Service = HedgeService<S, P>;

    fn layer(&self, inner: S) -> HedgeService<S, P> {
        let template = Mutex::new(inner.clone());
        let shared = Arc::new(Shared { hedge: self.hedge.clone(), template });
        HedgeService { inner, shared, may_repeat: self.may_repeat.clone() }
    }
}

/// The service of [`HedgeLayer`].
#[derive(Clone)]
pub struct HedgeService<S, P> {
    inner: S,
    shared: Arc<Shared<S>>,
    may_repeat: P,
}

/// What a call needs once it is slow: one pointer for all of it.
#[derive(Debug)]
struct Shared<S> {
    hedge: Hedge,
    /// Second calls go to clones of this one, which is never called itself. A lock, so that the service need not be
    /// `Sync`.
    template: Mutex<S>,
}

impl<S: Clone> Shared<S> {
    /// A service that has to be asked for readiness.
    fn service(&self) -> S {
        self.template.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S, P, Q> Service<Q> for HedgeService<S, P>
where
    S: Service<Q, Error = Error> + Clone,
    P: Fn(&Q) -> bool,
    Q: Clone,
{
    type Response = S::Response;
    type Error = Error;
    type Future = HedgeFuture<S, Q>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Q) -> Self::Future {
        if !(self.may_repeat)(&request) {
            return HedgeFuture::single(self.inner.call(request));
        }
        let started = self.shared.hedge.begin();
        let call = self.inner.call(request.clone());
        HedgeFuture::hedged(call, Arc::clone(&self.shared), request, started)
    }
}

impl<P> fmt::Debug for HedgeLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeLayer").field("hedge", &self.hedge).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, P> fmt::Debug for HedgeService<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
