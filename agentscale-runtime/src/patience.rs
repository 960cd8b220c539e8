//! Waits that end.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use futures::poll;
use tokio::time::{Instant, timeout};

/// The moment after `wait`. One beyond what the clock can tell is as good as never.
pub(crate) fn moment_after(wait: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + NEVER)
}

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
