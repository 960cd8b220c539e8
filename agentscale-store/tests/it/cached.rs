//! States held in memory: asked for once, and never stale.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::{
    ClaimRequest, DeleteRequest, Durability, FieldWrite, LoadRequest, Version,
};
use agentscale_core::lease::{AcquireRequest, Lease, LeaseKey};
use agentscale_core::testkit::{FaultyStore, StoreFault, StoreOperation};
use agentscale_core::{CheckpointStore, ErrorKind, Tenant};
use agentscale_store::{
    CachedCheckpointStore, CheckpointCacheConfig, InMemoryCheckpointStore, InMemoryLeaseStore,
    SqliteCheckpointConfig,
};

use crate::scene::{Owner, open_with, thread};

type Cached = CachedCheckpointStore<InMemoryCheckpointStore>;

fn cached(inner: &InMemoryCheckpointStore) -> Cached {
    CachedCheckpointStore::new(inner.clone(), &CheckpointCacheConfig::default())
}

async fn notes(store: &impl CheckpointStore) -> Option<(Version, usize)> {
    let tip = store.load(LoadRequest::tip(thread("alice"))).await.expect("it is read")?;
    Some((tip.info.version, tip.fields[0].appended.len()))
}

#[tokio::test]
async fn what_a_commit_left_is_loaded_without_its_state() {
    let inner = Arc::new(FaultyStore::new(InMemoryCheckpointStore::new()));
    let store = CachedCheckpointStore::new(inner.clone(), &CheckpointCacheConfig::default());
    let mut owner = Owner::claim(&store, "alice").await;
    for _ in 0..3 {
        owner.write("[1]").await.unwrap();
    }
    inner.inject(StoreOperation::Load, StoreFault::Fail(ErrorKind::Internal));
    assert_eq!(notes(&store).await, Some((Version(3), 3)));
    let stats = store.stats();
    assert_eq!((stats.hits, stats.misses, stats.states), (1, 0, 1));
    let at_tip = LoadRequest::version(thread("alice"), Version(3));
    assert!(store.load(at_tip).await.unwrap().is_some());
    let older = LoadRequest::version(thread("alice"), Version(2));
    assert_eq!(store.load(older).await.unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn a_load_sees_what_another_process_wrote() {
    let inner = InMemoryCheckpointStore::new();
    let (here, there) = (cached(&inner), cached(&inner));
    let mut first = Owner::claim(&here, "alice").await;
    first.write("[1]").await.unwrap();
    assert_eq!(notes(&there).await, Some((Version(1), 1)));
    let mut second = Owner::claim(&there, "alice").await;
    second.write("[2]").await.unwrap();
    assert_eq!(notes(&here).await, Some((Version(2), 2)));
    assert_eq!(first.write("[3]").await.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(notes(&here).await, Some((Version(2), 2)));
}

/// The new thread comes to the same versions, by another owner and by the same one.
#[tokio::test]
async fn a_thread_that_was_deleted_and_begun_again_is_not_the_old_one() {
    let inner = InMemoryCheckpointStore::new();
    let (here, there) = (cached(&inner), cached(&inner));
    let mut old = Owner::claim(&here, "alice").await;
    old.write("[1]").await.unwrap();
    old.write("[2]").await.unwrap();
    let mut new = Owner::claim(&there, "alice").await;
    there.delete(DeleteRequest::new(thread("alice"), new.epoch)).await.unwrap();
    assert_eq!(notes(&here).await, None);
    for version in 1..=2 {
        new.version = Version(version - 1);
        new.send(new.commit(vec![FieldWrite::Replace { name: "notes".into(), value: "[]".into() }]))
            .await
            .unwrap();
        assert_eq!(notes(&here).await, Some((Version(version), 0)));
        assert_eq!(notes(&there).await, Some((Version(version), 0)));
    }
}

/// Whoever claimed elsewhere is no owner that this cache knows: what its commits build on was not seen.
#[tokio::test]
async fn a_state_is_folded_only_by_an_owner_that_claimed_here() {
    let inner = InMemoryCheckpointStore::new();
    let store = cached(&inner);
    Owner::claim(&store, "alice").await.write("[1]").await.unwrap();
    let elsewhere = inner.claim(ClaimRequest::new(thread("alice"))).await.unwrap();
    inner.delete(DeleteRequest::new(thread("alice"), elsewhere.epoch)).await.unwrap();
    let mut other = Owner::claim(&inner, "alice").await;
    other.write("[2]").await.unwrap();
    let mut commit = other.commit(vec![FieldWrite::Replace { name: "more".into(), value: "3".into() }]);
    commit.epoch = other.epoch;
    store.commit(commit).await.unwrap();
    let tip = store.load(LoadRequest::tip(thread("alice"))).await.unwrap().unwrap();
    assert_eq!(tip, inner.load(LoadRequest::tip(thread("alice"))).await.unwrap().unwrap());
}

/// Only of an owner that claimed here, and only while the lease is held.
#[tokio::test]
async fn under_a_lease_the_tip_is_not_asked_for() {
    let leases = Arc::new(InMemoryLeaseStore::new());
    let key = LeaseKey::new(&Tenant::new("acme").unwrap(), "node", "1").unwrap();
    let request = AcquireRequest::new(key, "here".try_into().unwrap(), Duration::from_secs(30));
    let lease = Lease::acquire(leases, request).await.unwrap();
    let inner = Arc::new(FaultyStore::new(InMemoryCheckpointStore::new()));
    let store = CachedCheckpointStore::new(inner.clone(), &CheckpointCacheConfig::default())
        .with_lease(lease.watch());
    let fail = || inner.inject(StoreOperation::History, StoreFault::Fail(ErrorKind::Internal));
    let load = async || store.load(LoadRequest::tip(thread("alice"))).await;

    let mut owner = Owner::claim(&store, "alice").await;
    owner.write("[1]").await.unwrap();
    fail();
    let tip = load().await.unwrap().unwrap();
    let stored = inner.load(LoadRequest::tip(thread("alice"))).await.unwrap().unwrap();
    assert_eq!(tip, stored);
    assert_eq!(inner.met(), 0);

    lease.close().await.unwrap();
    assert_eq!(load().await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(load().await.unwrap().unwrap(), stored);
}

/// It stands only in a queue, which may yet fail.
#[tokio::test]
async fn under_a_lease_a_buffered_tip_is_asked_for() {
    let leases = Arc::new(InMemoryLeaseStore::new());
    let key = LeaseKey::new(&Tenant::new("acme").unwrap(), "node", "1").unwrap();
    let request = AcquireRequest::new(key, "here".try_into().unwrap(), Duration::from_secs(30));
    let lease = Lease::acquire(leases, request).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = open_with(&folder.path().join("checkpoints.db"), SqliteCheckpointConfig::default()).await;
    let inner = Arc::new(FaultyStore::new(file));
    let store = CachedCheckpointStore::new(inner.clone(), &CheckpointCacheConfig::default())
        .with_lease(lease.watch());
    let mut owner = Owner::claim(&store, "alice").await;
    owner.level = Durability::Buffered;
    owner.write("[1]").await.unwrap();
    inner.inject(StoreOperation::History, StoreFault::Fail(ErrorKind::Internal));
    let loaded = store.load(LoadRequest::tip(thread("alice"))).await;
    assert_eq!(loaded.unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test]
async fn states_are_held_within_their_bytes() {
    let mut config = CheckpointCacheConfig::default();
    config.bytes = 64 << 10;
    let store = CachedCheckpointStore::new(InMemoryCheckpointStore::new(), &config);
    for agent in 0..32 {
        let mut owner = Owner::claim(&store, &format!("agent-{agent}")).await;
        owner.write(&"x".repeat(8 << 10)).await.unwrap();
        assert!(store.stats().bytes <= config.bytes);
    }
    assert!(store.stats().states > 4);
}
