mod future;

use std::task::{Context, Poll};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tower_layer::Layer;
use tower_service::Service;

use crate::layers::limits;
use crate::time::millis;
use crate::{Error, Result};

pub use future::TimeoutFuture;

/// How long a call may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutConfig {
    /// `after_ms`: milliseconds from the first poll of the call; 30 000.
    #[serde(rename = "after_ms", with = "millis")]
    pub after: Duration,
}

impl Default for TimeoutConfig {
    fn default() -> Self {
        Self { after: Duration::from_secs(30) }
    }
}

/// Ends calls that take too long with `deadline_exceeded`.
///
/// Default: 30 s; there is no upper bound. Position: innermost, so that a circuit breaker outside counts a hanging call as a failure; a second one
/// around retries bounds them together. The time runs from the first poll of the call and does not include
/// the wait for readiness. A call that is ready at its first poll arms no timer. A call that took too long is
/// dropped, and so is the call when the future is.
#[derive(Clone, Debug)]
pub struct TimeoutLayer {
    config: TimeoutConfig,
}

impl TimeoutLayer {
    /// A layer with this limit.
    ///
    /// # Errors
    ///
    /// `invalid_input` with the context `after_ms` where the limit is zero.
    pub fn new(config: TimeoutConfig) -> Result<Self> {
        limits::within("set up a timeout", "after_ms", millis::rounded_up(config.after), 1..=u128::MAX)?;
        Ok(Self { config })
    }
}

impl<S> Layer<S> for TimeoutLayer {
    type Service = Timeout<S>;

    fn layer(&self, inner: S) -> Timeout<S> {
        Timeout { inner, after: self.config.after }
    }
}

/// The service of [`TimeoutLayer`].
#[derive(Clone, Debug)]
pub struct Timeout<S> {
    inner: S,
    after: Duration,
}

impl<S, Q> Service<Q> for Timeout<S>
where
    S: Service<Q, Error = Error>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = TimeoutFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        TimeoutFuture::new(self.inner.call(request), self.after)
    }
}
