use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
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
        #[pin]
        call: F,
        after: Duration,
        // Boxed: a call that is ready at its first poll arms none, and is moved about without the room for one.
        timer: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> TimeoutFuture<F> {
    pub(super) fn new(call: F, after: Duration) -> Self {
        Self { call, after, timer: None }
    }
}

impl<F, T> Future for TimeoutFuture<F>
where
    F: Future<Output = Result<T>>,
{
    type Output = Result<T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(result) = this.call.poll(context) {
            return Poll::Ready(result);
        }
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(*this.after)));
        timer.as_mut().poll(context).map(|()| Err(too_late(*this.after)))
    }
}

fn too_late(after: Duration) -> Error {
    Error::new(ErrorKind::DeadlineExceeded, "wait for an answer")
        .with_context("timeout_ms", after.as_millis())
}
