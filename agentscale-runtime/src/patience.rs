//! Waits that end.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use futures::poll;
use tokio::time::timeout;

/// Waits for `work` no longer than `limit`. What is ready at once costs no timer.
pub(crate) async fn within<T>(
    limit: Duration,
    operation: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let mut work = pin!(work);
    if let Poll::Ready(done) = poll!(work.as_mut()) {
        return done;
    }
    let late = || {
        Error::new(ErrorKind::DeadlineExceeded, operation).with_context("limit", format_args!("{limit:?}"))
    };
    timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}
