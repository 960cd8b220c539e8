use std::time::Duration;

use crate::lease::{AcquireRequest, Grant, LeaseKey, ReleaseRequest, RenewRequest};
use crate::{Error, ErrorKind, LeaseStore, Result, Tenant};

/// Longer than any test.
pub(super) const LONG: Duration = Duration::from_secs(3_600);
/// Waited for.
pub(super) const SHORT: Duration = Duration::from_millis(200);

pub(super) fn key(name: &str) -> LeaseKey {
    LeaseKey::new(&tenant("acme"), "deployment", name).expect("names")
}

pub(super) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("a name")
}

pub(super) fn request(name: &str, holder: &str, ttl: Duration) -> AcquireRequest {
    AcquireRequest::new(key(name), holder.try_into().expect("a name"), ttl)
}

pub(super) async fn acquire(store: &dyn LeaseStore, name: &str, holder: &str, ttl: Duration) -> Grant {
    store.acquire(request(name, holder, ttl)).await.expect("the lease is granted")
}

pub(super) async fn renew(store: &dyn LeaseStore, name: &str, grant: Grant, ttl: Duration) -> Result<Grant> {
    store.renew(RenewRequest::new(key(name), grant.epoch, ttl)).await
}

pub(super) async fn release(store: &dyn LeaseStore, name: &str, grant: Grant) -> Result<()> {
    store.release(ReleaseRequest::new(key(name), grant.epoch)).await
}

pub(super) fn assert_kind<T: std::fmt::Debug>(answer: Result<T>, kind: ErrorKind) -> Error {
    let error = answer.expect_err("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    error
}
