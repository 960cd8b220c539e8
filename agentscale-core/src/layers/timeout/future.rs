use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};

use crate::{Error, ErrorKind, Result};

pin_project! {
    /// The future of [`Timeout`](super::Timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping it, and reaching the limit, drops the call.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct TimeoutFuture<F> {
        // `None` once the limit is reached.
        #[pin]
        call: Option<F>,
        after: Duration,
        // Boxed: a call that is ready at its first poll arms none, and is moved about without the room for one.
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> TimeoutFuture<F> {
    pub(super) fn new(call: F, after: Duration) -> Self {
        Self { call: Some(call), after, timer: None }
    }
}

impl<F, T> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<T>>,
{
    type Output = Result<T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let call = this.call.as_mut().as_pin_mut().expect("a future is not polled after its completion");
        if let Poll::Ready(result) = call.poll(context) {
            return Poll::Ready(result);
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(*this.after)));
        ready!(timer.as_mut().poll(context));
        // Whoever holds this future, such as a hedge that waits for its other call, does not hold the call.
        this.call.set(None);
        Poll::Ready(Err(too_late(*this.after)))
    }
}

fn too_late(after: Duration) -> Error {
    Error::new(ErrorKind::DeadlineExceeded, "wait for an answer")
        .with_context("timeout_ms", after.as_millis())
}
