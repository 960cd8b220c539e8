//! Who gets a lease.

use std::sync::Arc;
use std::time::Duration;

use super::LeaseStoreHarness;
use super::scene::{LONG, SHORT, acquire, assert_kind, key, release, renew, request};
use crate::lease::{Epoch, MAX_TTL};
use crate::{ErrorKind, Retry};

/// A free lease is granted for the time that was asked for.
pub async fn a_free_lease_is_granted_for_its_time(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let grant = acquire(&store, "a", "alice", LONG).await;
    assert_eq!(grant.remaining, LONG);
    assert!(grant.epoch > Epoch::default());
}

/// A second holder is refused, and told who holds the lease, what for, since when, and when to ask again.
pub async fn who_is_refused_learns_who_holds_it_and_since_when(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let first = request("a", "alice", LONG).with_note("release 1.4.2".try_into().expect("a note"));
    store.acquire(first).await.expect("the lease is granted");
    let error = assert_kind(store.acquire(request("a", "bob", LONG)).await, ErrorKind::Conflict);
    assert_eq!(error.context("holder"), Some("alice"));
    assert_eq!(error.context("note"), Some("release 1.4.2"));
    assert_eq!(error.context("reason"), Some("one is under way"));
    assert!(
        error.context("since").is_some_and(|since| since.starts_with("20") && since.ends_with('Z')),
        "{error}"
    );
    assert_eq!(error.retry(), Retry::Later);
    assert!(error.retry_after().is_some_and(|after| after <= LONG && after > LONG / 2), "{error:?}");
}

/// Whoever comes under the holder's name is refused as anybody else.
pub async fn the_name_of_the_holder_opens_nothing(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    acquire(&store, "a", "alice", LONG).await;
    assert_kind(store.acquire(request("a", "alice", LONG)).await, ErrorKind::Conflict);
}

/// An acquisition whose answer was lost is repeated under its id, and gets the same grant with the time that is left.
pub async fn a_repeated_acquisition_gives_the_same_grant(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let request = request("a", "alice", LONG);
    let first = store.acquire(request.clone()).await.expect("the lease is granted");
    harness.pass(SHORT).await;
    let second = store.acquire(request).await.expect("the lease is granted again");
    assert_eq!(first.epoch, second.epoch);
    assert!(second.remaining < LONG && second.remaining > LONG / 2, "{second:?}");
    renew(&store, "a", first, LONG).await.expect("it is held");
}

/// An id that was granted once is not granted anew when the grant has ended: its request may have come late.
pub async fn an_id_whose_grant_has_ended_is_fenced(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let released = request("a", "alice", LONG);
    let grant = store.acquire(released.clone()).await.expect("the lease is granted");
    release(&store, "a", grant).await.expect("it is released");
    assert_kind(store.acquire(released).await, ErrorKind::Fenced);
    let expired = request("b", "alice", SHORT);
    store.acquire(expired.clone()).await.expect("the lease is granted");
    harness.pass(SHORT).await;
    assert_kind(store.acquire(expired).await, ErrorKind::Fenced);
    assert_eq!(store.read(&key("b")).await.expect("it is read").holding, None);
}

/// Of many that ask at once, one is granted and all others learn its name.
pub async fn of_concurrent_acquisitions_exactly_one_is_granted(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let asked: Vec<_> = (0..16)
        .map(|number| {
            let store = Arc::clone(&store);
            let request = request("a", &format!("holder-{number}"), LONG);
            tokio::spawn(async move { (request.holder.clone(), store.acquire(request).await) })
        })
        .collect();
    let (mut granted, mut named) = (Vec::new(), Vec::new());
    for answer in asked {
        match answer.await.expect("it is answered") {
            (holder, Ok(_)) => granted.push(holder.as_str().to_owned()),
            (_, Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                named.push(error.context("holder").map(str::to_owned));
            }
        }
    }
    assert_eq!((granted.len(), named.len()), (1, 15));
    assert!(named.iter().all(|name| name.as_ref() == granted.first()), "{granted:?} {named:?}");
}

/// No time and more than the longest are refused.
pub async fn a_time_out_of_bounds_is_invalid(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let bounds = [Duration::ZERO, MAX_TTL + Duration::from_micros(1)];
    for ttl in bounds {
        assert_kind(store.acquire(request("a", "alice", ttl)).await, ErrorKind::InvalidInput);
    }
    let grant = acquire(&store, "a", "alice", MAX_TTL).await;
    for ttl in bounds {
        assert_kind(renew(&store, "a", grant, ttl).await, ErrorKind::InvalidInput);
    }
}
