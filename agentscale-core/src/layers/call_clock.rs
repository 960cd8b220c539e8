use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::time::{CallClock, CallClockKey};
use crate::{Error, Result};

/// Holds a [`CallClock`] still during each call and each poll, so that the layers inside that were given this
/// clock read the time once at entry and once at completion.
///
/// Position: outermost. It decides nothing and has no configuration. Dropping the future drops the call.
#[derive(Clone, Debug)]
pub struct CallClockLayer {
    key: CallClockKey,
}

impl CallClockLayer {
    /// A layer that holds `clock`, of which the layers inside have clones.
    pub fn new(clock: &CallClock) -> Self {
        Self { key: clock.key() }
    }
}

impl<S> Layer<S> for CallClockLayer {
    type Service = CallClockService<S>;

    fn layer(&self, inner: S) -> CallClockService<S> {
        CallClockService { inner, key: self.key }
    }
}

/// The service of [`CallClockLayer`].
#[derive(Clone, Debug)]
pub struct CallClockService<S> {
    inner: S,
    key: CallClockKey,
}

impl<S, Q> Service<Q> for CallClockService<S>
where
    S: Service<Q, Error = Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = CallClockFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.key.hold(|| self.inner.poll_ready(context))
    }

    #[inline]
    fn call(&mut self, request: Q) -> Self::Future {
        CallClockFuture { call: self.key.hold(|| self.inner.call(request)), key: self.key }
    }
}

pin_project! {
    /// The future of [`CallClockService`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct CallClockFuture<F> {
        #[pin]
        call: F,
        key: CallClockKey,
    }
}

impl<F: Future> Future for CallClockFuture<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.key.hold(|| this.call.poll(context))
    }
}
