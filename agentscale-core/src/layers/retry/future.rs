use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_service::Service;

use super::{Decision, Shared};
use crate::time::CallClock;
use crate::{Error, Result, Retry};

pin_project! {
    /// The future of [`Retry`](super::Retry).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the attempt or the wait that is under way; nothing is called afterwards. What the wait took
    /// out of a budget does not come back.
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S, Q>
    where
        S: Service<Q>,
    {
        shared: Arc<Shared<S>>,
        request: Q,
        retries: u32,
        #[pin]
        state: State<S, S::Future>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F> {
        Calling { #[pin] call: F },
        // Boxed: a call that succeeds is moved about without the room for it.
        Waiting { timer: Pin<Box<Sleep>> },
        Readying { service: S },
    }
}

impl<S, Q> RetryFuture<S, Q>
where
    S: Service<Q>,
{
    #[inline]
    pub(super) fn new(shared: Arc<Shared<S>>, request: Q, call: S::Future) -> Self {
        Self { shared, request, retries: 0, state: State::Calling { call } }
    }
}

impl<S, Q> Future for RetryFuture<S, Q>
where
    S: Service<Q, Error = Error> + Clone,
    Q: Clone,
{
    type Output = Result<S::Response>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Calling { call } => match ready!(call.poll(context)) {
                    Ok(response) => return Poll::Ready(Ok(response)),
                    Err(error) => match this.shared.decide(*this.retries, error) {
                        Ok(timer) => State::Waiting { timer },
                        Err(error) => return Poll::Ready(Err(error)),
                    },
                },
                StateProjection::Waiting { timer } => {
                    ready!(timer.as_mut().poll(context));
                    State::Readying { service: this.shared.service() }
                }
                StateProjection::Readying { service } => {
                    CallClock::renew();
                    if let Err(error) = ready!(service.poll_ready(context)) {
                        return Poll::Ready(Err(given_up(error, *this.retries)));
                    }
                    *this.retries += 1;
                    let call = service.call(this.request.clone());
                    CallClock::renew();
                    State::Calling { call }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S> Shared<S> {
    /// The wait before the next attempt, or the error to pass on.
    #[cold]
    fn decide(&self, retries: u32, error: Error) -> Result<Pin<Box<Sleep>>> {
        match self.policy.decide(retries, &error, fastrand::f64()) {
            Decision::GiveUp => Err(given_up(error, retries)),
            Decision::RetryAfter(wait) => match &self.budget {
                Some(budget) if !budget.try_retry() => {
                    Err(given_up(error, retries).with_context("retry_budget", "exhausted"))
                }
                _ => Ok(Box::pin(sleep(wait))),
            },
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
