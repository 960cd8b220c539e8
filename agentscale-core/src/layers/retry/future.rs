use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use super::{Decision, RetryPolicy};
use crate::time::CallClock;
use crate::{Error, Result, Retry};

pin_project! {
    /// The future of [`Retry`](super::Retry).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the attempt or the wait that is under way; nothing is called afterwards.
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S, Q>
    where
        S: Service<Q>,
    {
        policy: RetryPolicy,
        service: S,
        request: Q,
        retries: u32,
        #[pin]
        state: State<S::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Calling { #[pin] call: F },
        Waiting { #[pin] timer: Sleep },
        Readying,
    }
}

impl<S, Q> RetryFuture<S, Q>
where
    S: Service<Q>,
{
    pub(super) fn new(policy: RetryPolicy, service: S, request: Q, call: S::Future) -> Self {
        Self { policy, service, request, retries: 0, state: State::Calling { call } }
    }
}

impl<S, Q> Future for RetryFuture<S, Q>
where
    S: Service<Q, Error = Error>,
    Q: Clone,
{
    type Output = Result<S::Response>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Calling { call } => match ready!(call.poll(context)) {
                    Ok(response) => return Poll::Ready(Ok(response)),
                    Err(error) => match this.policy.decide(*this.retries, &error, fastrand::f64()) {
                        Decision::GiveUp => return Poll::Ready(Err(given_up(error, *this.retries))),
                        Decision::RetryAfter(wait) => State::Waiting { timer: sleep(wait) },
                    },
                },
                StateProjection::Waiting { timer } => {
                    ready!(timer.poll(context));
                    State::Readying
                }
                StateProjection::Readying => {
                    CallClock::renew();
                    if let Err(error) = ready!(this.service.poll_ready(context)) {
                        return Poll::Ready(Err(given_up(error, *this.retries)));
                    }
                    *this.retries += 1;
                    let call = this.service.call(this.request.clone());
                    CallClock::renew();
                    State::Calling { call }
                }
            };
            this.state.set(next);
        }
    }
}

/// Nobody outside retries what was retried here, or what was not worth it here.
fn given_up(error: Error, retries: u32) -> Error {
    match error.retry() {
        Retry::Later => error.with_retry(Retry::Exhausted).with_context("attempts", u64::from(retries) + 1),
        Retry::Never | Retry::Exhausted => error,
    }
}

impl<S, Q> fmt::Debug for RetryFuture<S, Q>
where
    S: Service<Q>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").field("retries", &self.retries).finish_non_exhaustive()
    }
}
