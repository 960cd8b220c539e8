//! How a lease ends, and what stays of it.

use super::LeaseStoreHarness;
use super::scene::{LONG, SHORT, acquire, assert_kind, key, release, renew, request};
use crate::ErrorKind;
use crate::lease::Epoch;

/// A released lease is free at once.
pub async fn a_released_lease_is_free_at_once(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let grant = acquire(&store, "a", "alice", LONG).await;
    release(&store, "a", grant).await.expect("it is released");
    acquire(&store, "a", "bob", LONG).await;
}

/// A lease that is not renewed ends with its time.
pub async fn a_lease_ends_with_its_time(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    acquire(&store, "a", "alice", SHORT).await;
    harness.pass(SHORT).await;
    assert_eq!(store.read(&key("a")).await.expect("it is read").holding, None);
    acquire(&store, "a", "bob", LONG).await;
}

/// A renewed lease lasts for the time that the renewal asked for, from the renewal on.
pub async fn a_renewed_lease_lasts(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let grant = acquire(&store, "a", "alice", SHORT * 5).await;
    let renewed = renew(&store, "a", grant, LONG).await.expect("it is renewed");
    assert_eq!((renewed.epoch, renewed.remaining), (grant.epoch, LONG));
    harness.pass(SHORT * 5).await;
    assert_kind(store.acquire(request("a", "bob", LONG)).await, ErrorKind::Conflict);
    renew(&store, "a", grant, SHORT).await.expect("it is renewed for less");
    harness.pass(SHORT).await;
    acquire(&store, "a", "bob", LONG).await;
}

/// Each grant takes a higher epoch, whether the one before was released or ran out.
pub async fn each_grant_takes_a_higher_epoch(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let mut last = Epoch::default();
    for round in 0..3 {
        let grant = acquire(&store, "a", "alice", LONG).await;
        assert!(grant.epoch > last, "round {round}");
        assert_eq!(store.read(&key("a")).await.expect("it is read").epoch, grant.epoch);
        release(&store, "a", grant).await.expect("it is released");
        let next = acquire(&store, "a", "alice", SHORT).await;
        assert!(next.epoch > grant.epoch, "round {round}");
        harness.pass(SHORT).await;
        last = next.epoch;
    }
}

/// A lease that was released or ran out cannot be renewed, though nobody else took it.
pub async fn an_ended_lease_cannot_be_renewed(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let released = acquire(&store, "a", "alice", LONG).await;
    release(&store, "a", released).await.expect("it is released");
    assert_kind(renew(&store, "a", released, LONG).await, ErrorKind::Fenced);
    let expired = acquire(&store, "b", "alice", SHORT).await;
    harness.pass(SHORT).await;
    assert_kind(renew(&store, "b", expired, LONG).await, ErrorKind::Fenced);
}

/// Whoever held the lease before neither renews nor releases that of another, nor does one who never held it.
pub async fn an_older_epoch_changes_nothing(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let old = acquire(&store, "a", "alice", SHORT).await;
    harness.pass(SHORT).await;
    let new = acquire(&store, "a", "bob", LONG).await;
    assert_kind(renew(&store, "a", old, SHORT).await, ErrorKind::Fenced);
    assert_kind(release(&store, "a", old).await, ErrorKind::Fenced);
    let error = assert_kind(store.acquire(request("a", "carol", LONG)).await, ErrorKind::Conflict);
    assert_eq!(error.context("holder"), Some("bob"));
    renew(&store, "a", new, LONG).await.expect("it is held");
    assert_kind(renew(&store, "never", new, LONG).await, ErrorKind::Fenced);
    assert_kind(release(&store, "never", new).await, ErrorKind::Fenced);
}

/// A release whose answer was lost is repeated; so is one of a lease whose time ran out.
pub async fn a_release_can_be_repeated(harness: &dyn LeaseStoreHarness) {
    let store = harness.start().await;
    let released = acquire(&store, "a", "alice", LONG).await;
    release(&store, "a", released).await.expect("it is released");
    release(&store, "a", released).await.expect("it is released again");
    let expired = acquire(&store, "b", "alice", SHORT).await;
    harness.pass(SHORT).await;
    release(&store, "b", expired).await.expect("it has ended");
}
