use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Timeout, timeout};
use tower_service::Service;

use super::slots::Ticket;
use super::{BulkheadPermit, waited_too_long};
use crate::layers::AdmissionFuture;
use crate::time::CallClock;
use crate::{Error, Result};

pin_project! {
    /// The future of [`BulkheadService`](super::BulkheadService).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the call and frees its slot, or gives back its place in line.
    #[must_use = "futures do nothing unless polled"]
    pub struct BulkheadFuture<S, Q>
    where
        S: Service<Q>,
    {
        #[pin]
        state: State<S, Q, S::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, Q, F> {
        Decided { #[pin] admission: AdmissionFuture<F, BulkheadPermit> },
        // Behind a pointer: waits are rare, and the futures of calls that do not wait stay small.
        Waiting { waiting: Pin<Box<Waiting<S, Q>>> },
    }
}

pin_project! {
    struct Waiting<S, Q> {
        #[pin]
        ticket: Timeout<Ticket>,
        service: S,
        request: Option<Q>,
    }
}

impl<S, Q> BulkheadFuture<S, Q>
where
    S: Service<Q>,
{
    #[inline]
    pub(super) fn admitted(call: S::Future, permit: BulkheadPermit) -> Self {
        Self { state: State::Decided { admission: AdmissionFuture::admitted(call, permit) } }
    }

    pub(super) fn refused(error: Error) -> Self {
        Self { state: State::Decided { admission: AdmissionFuture::refused(error) } }
    }

    pub(super) fn waiting(ticket: Ticket, longest: Duration, service: S, request: Q) -> Self {
        let ticket = timeout(longest, ticket);
        let waiting = Box::pin(Waiting { ticket, service, request: Some(request) });
        Self { state: State::Waiting { waiting } }
    }
}

impl<S, Q> Future for BulkheadFuture<S, Q>
where
    S: Service<Q, Error = Error>,
{
    type Output = Result<S::Response>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let admission = match state.as_mut().project() {
                StateProjection::Decided { admission } => return admission.poll(context),
                StateProjection::Waiting { waiting } => ready!(waiting.as_mut().poll_call(context)),
            };
            state.set(State::Decided { admission });
        }
    }
}

impl<S, Q> Waiting<S, Q>
where
    S: Service<Q>,
{
    /// Makes the call when its turn has come.
    fn poll_call(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<AdmissionFuture<S::Future, BulkheadPermit>> {
        let this = self.project();
        let Ok(permit) = ready!(this.ticket.poll(context)) else {
            return Poll::Ready(AdmissionFuture::refused(waited_too_long()));
        };
        let request = this.request.take().expect("a ticket gives one permit");
        CallClock::renew();
        let call = this.service.call(request);
        CallClock::renew();
        Poll::Ready(AdmissionFuture::admitted(call, permit))
    }
}

impl<S, Q> fmt::Debug for BulkheadFuture<S, Q>
where
    S: Service<Q>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadFuture").finish_non_exhaustive()
    }
}
