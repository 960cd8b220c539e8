use std::fmt;
use std::hash::Hash;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use super::KeyedRateLimit;
use crate::layers::AdmissionFuture;
use crate::{Error, Result};

/// Refuses calls beyond the rate of their key with `rate_limited`, which says when the next one may come. It never
/// waits.
///
/// Default: 60 calls a second and at once for each of 100 000 keys. Position: that of
/// [`RateLimitLayer`](crate::layers::RateLimitLayer). A call counts when it is made, and counts though it is cancelled
/// later.
///
/// ```
/// use std::sync::Arc;
/// use agentscale_core::layers::{KeyedRateLimit, KeyedRateLimitConfig, KeyedRateLimitLayer};
/// use agentscale_core::time::SystemClock;
/// use agentscale_core::{Error, Result, Tenant};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let limit = KeyedRateLimit::new(&KeyedRateLimitConfig::default(), Arc::new(SystemClock::new()))?;
/// let service = ServiceBuilder::new()
///     .layer(KeyedRateLimitLayer::new(limit, |(tenant, _): &(Tenant, &str)| tenant.clone()))
///     .service(service_fn(async |(_, question): (Tenant, &'static str)| Ok::<_, Error>(question.len())));
/// assert_eq!(service.oneshot((Tenant::new("acme")?, "how long?")).await?, 9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeyedRateLimitLayer<K: Hash + Eq + Clone, F> {
    limit: KeyedRateLimit<K>,
    key: F,
}

impl<K: Hash + Eq + Clone, F> KeyedRateLimitLayer<K, F> {
    /// A layer whose services share `limit`; `key` says whose rate a request counts against.
    pub fn new<Q>(limit: KeyedRateLimit<K>, key: F) -> Self
    where
        F: Fn(&Q) -> K,
    {
        Self { limit, key }
    }
}

impl<S, K: Hash + Eq + Clone, F: Clone> Layer<S> for KeyedRateLimitLayer<K, F> {
    type Service = KeyedRateLimitService<S, K, F>;

    fn layer(&self, inner: S) -> Self::Service {
        KeyedRateLimitService { inner, limit: self.limit.clone(), key: self.key.clone() }
    }
}

/// The service of [`KeyedRateLimitLayer`].
#[derive(Clone)]
pub struct KeyedRateLimitService<S, K: Hash + Eq + Clone, F> {
    inner: S,
    limit: KeyedRateLimit<K>,
    key: F,
}

impl<S, Q, K, F> Service<Q> for KeyedRateLimitService<S, K, F>
where
    S: Service<Q, Error = Error>,
    K: Hash + Eq + Clone,
    F: Fn(&Q) -> K,
{
    type Response = S::Response;
    type Error = Error;
    type Future = AdmissionFuture<S::Future, ()>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Q) -> Self::Future {
        match self.limit.try_acquire(&(self.key)(&request)) {
            Ok(()) => AdmissionFuture::admitted(self.inner.call(request), ()),
            Err(refusal) => AdmissionFuture::refused(refusal),
        }
    }
}

impl<K: Hash + Eq + Clone, F> fmt::Debug for KeyedRateLimitLayer<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimitLayer").field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, K: Hash + Eq + Clone, F> fmt::Debug for KeyedRateLimitService<S, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedRateLimitService")
            .field("inner", &self.inner)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
