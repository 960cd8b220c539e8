use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use super::Shared;
use crate::time::{CallClock, Monotonic};
use crate::{Error, Result};

pin_project! {
    /// The future of [`HedgeService`](super::HedgeService).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops both calls and records nothing.
    #[must_use = "futures do nothing unless polled"]
    pub struct HedgeFuture<S, Q>
    where
        S: Service<Q>,
    {
        #[pin]
        first: S::Future,
        failed: Option<Error>,
        // `None` where the request may not be sent twice.
        shared: Option<Arc<Shared<S>>>,
        started: Monotonic,
        request: Option<Q>,
        // Boxed: a call that is quick is moved about without the room for another.
        second: Option<Pin<Box<Second<S, Q, S::Future>>>>,
    }
}

pin_project! {
    #[project = SecondProjection]
    enum Second<S, Q, F> {
        Waiting { #[pin] timer: Sleep, request: Option<Q> },
        Readying { service: S, request: Option<Q> },
        Calling { #[pin] call: F },
    }
}

impl<S, Q> HedgeFuture<S, Q>
where
    S: Service<Q>,
{
    #[inline]
    pub(super) fn single(first: S::Future) -> Self {
        let (failed, shared, request, second) = (None, None, None, None);
        Self { first, failed, shared, started: Monotonic::ZERO, request, second }
    }

    #[inline]
    pub(super) fn hedged(first: S::Future, shared: Arc<Shared<S>>, request: Q, started: Monotonic) -> Self {
        Self { first, failed: None, shared: Some(shared), started, request: Some(request), second: None }
    }
}

impl<S, Q> Future for HedgeFuture<S, Q>
where
    S: Service<Q, Error = Error> + Clone,
{
    type Output = Result<S::Response>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.failed.is_none()
            && let Poll::Ready(result) = this.first.poll(context)
        {
            match result {
                Err(error) if this.second.as_ref().is_some_and(|second| second.is_called()) => {
                    *this.failed = Some(error);
                }
                Err(error) => return Poll::Ready(Err(error)),
                Ok(response) => {
                    if let Some(shared) = this.shared {
                        shared.hedge.answered(*this.started);
                    }
                    return Poll::Ready(Ok(response));
                }
            }
        }
        let Some(shared) = this.shared else {
            return Poll::Pending;
        };
        if let Some(request) = this.request.take() {
            *this.second = shared
                .hedge
                .delay()
                .map(|delay| Box::pin(Second::Waiting { timer: sleep(delay), request: Some(request) }));
        }
        let Some(second) = this.second else {
            return Poll::Pending;
        };
        let answer = ready!(second.as_mut().poll_answer(shared, context));
        *this.second = None;
        match (answer, this.failed.take()) {
            (Some(response), _) => {
                shared.hedge.answered(*this.started);
                Poll::Ready(Ok(response))
            }
            (None, Some(error)) => Poll::Ready(Err(error)),
            (None, None) => Poll::Pending,
        }
    }
}

impl<S, Q> Second<S, Q, S::Future>
where
    S: Service<Q, Error = Error> + Clone,
{
    fn is_called(&self) -> bool {
        matches!(self, Self::Calling { .. })
    }

    /// `None` where the second call was not made, or failed.
    fn poll_answer(
        mut self: Pin<&mut Self>,
        shared: &Shared<S>,
        context: &mut Context<'_>,
    ) -> Poll<Option<S::Response>> {
        loop {
            let next = match self.as_mut().project() {
                SecondProjection::Waiting { timer, request } => {
                    ready!(timer.poll(context));
                    if !shared.hedge.try_hedge() {
                        return Poll::Ready(None);
                    }
                    Self::Readying { service: shared.service(), request: request.take() }
                }
                SecondProjection::Readying { service, request } => {
                    CallClock::renew();
                    let ready = ready!(service.poll_ready(context));
                    let (Ok(()), Some(request)) = (ready, request.take()) else {
                        return Poll::Ready(None);
                    };
                    let call = service.call(request);
                    CallClock::renew();
                    Self::Calling { call }
                }
                SecondProjection::Calling { call } => return call.poll(context).map(Result::ok),
            };
            self.set(next);
        }
    }
}

impl<S, Q> fmt::Debug for HedgeFuture<S, Q>
where
    S: Service<Q>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeFuture")
            .field("started", &self.started)
            .field("has_second", &self.second.is_some())
            .finish_non_exhaustive()
    }
}
