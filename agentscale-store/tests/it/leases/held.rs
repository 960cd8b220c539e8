//! A lease that is held: renewed in time, stopped in time, released at its end. Time stands still but for timers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use agentscale_core::lease::{
    AcquireRequest, Grant, Lease, LeaseInfo, LeaseKey, ReleaseRequest, RenewRequest,
};
use agentscale_core::time::PausedClock;
use agentscale_core::{Error, ErrorKind, LeaseStore, Result, Retry};
use agentscale_store::InMemoryLeaseStore;
use async_trait::async_trait;
use tokio::time::{Instant, advance, sleep, timeout};

use super::scene::{Stepped, key, request};

const TTL: Duration = Duration::from_secs(30);

#[tokio::test(start_paused = true)]
async fn a_lease_is_kept_for_as_long_as_its_owner_wants() {
    let store = Wire::new();
    let lease = Lease::acquire(store.clone(), request("alice", TTL)).await.unwrap();
    for _ in 0..20 {
        sleep(TTL).await;
        lease.check().unwrap();
        assert_eq!(store.acquire(request("bob", TTL)).await.unwrap_err().kind(), ErrorKind::Conflict);
    }
    lease.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_closed_lease_is_free_at_once_and_its_watchers_know() {
    let store = Wire::new();
    let lease = Lease::acquire(store.clone(), request("alice", TTL)).await.unwrap();
    let watch = lease.watch();
    assert_eq!(watch.check().unwrap(), lease.epoch());
    lease.close().await.unwrap();
    assert_eq!(watch.check().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(watch.lost().await.kind(), ErrorKind::Cancelled);
    store.acquire(request("bob", TTL)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_lease_is_released() {
    let store = Wire::new();
    let lease = Lease::acquire(store.clone(), request("alice", TTL)).await.unwrap();
    let watch = lease.watch();
    drop(lease);
    assert_eq!(watch.lost().await.kind(), ErrorKind::Cancelled);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(store.read(&key()).await.unwrap().holding, None);
}

#[tokio::test(start_paused = true)]
async fn an_owner_cut_off_from_the_store_is_told_before_its_time_is_over() {
    for fault in [Wire::REFUSES, Wire::HANGS] {
        let store = Wire::new();
        let began = Instant::now();
        let lease = Lease::acquire(store.clone(), request("alice", TTL)).await.unwrap();
        store.set(fault);
        let error = lease.lost().await;
        assert_eq!((error.kind(), error.retry()), (ErrorKind::DeadlineExceeded, Retry::Never), "{error}");
        // A tenth of the time is left.
        assert_eq!(began.elapsed().as_secs(), 27);
        assert!(store.inner.read(&key()).await.unwrap().holding.is_some());
        assert_eq!(lease.check().unwrap_err().kind(), ErrorKind::DeadlineExceeded);
        assert_eq!(lease.close().await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_back_in_time_costs_nothing() {
    for fault in [Wire::REFUSES, Wire::HANGS] {
        let store = Wire::new();
        let lease = Lease::acquire(store.clone(), request("alice", TTL)).await.unwrap();
        for _ in 0..5 {
            store.set(fault);
            sleep(TTL / 2).await;
            store.set(Wire::WORKS);
            sleep(TTL / 2).await;
            lease.check().unwrap();
        }
        lease.close().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_whose_lease_was_taken_is_told_at_its_next_renewal() {
    let clock = Stepped::default();
    let store: Arc<dyn LeaseStore> = Arc::new(InMemoryLeaseStore::new().with_clock(Arc::new(clock.clone())));
    let lease = Lease::acquire(store.clone(), request("alice", TTL)).await.unwrap();
    // The store's clock runs ahead: it is the one that judges.
    clock.step(600);
    let taken = Lease::acquire(store, request("bob", TTL)).await.unwrap();
    let error = timeout(TTL / 3 + Duration::from_millis(1), lease.lost()).await.expect("it is told");
    assert_eq!(error.kind(), ErrorKind::Fenced);
    assert!(taken.epoch() > lease.epoch());
    assert_eq!(lease.close().await.unwrap_err().kind(), ErrorKind::Fenced);
    taken.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_frozen_owner_knows_at_its_thaw() {
    let store = Wire::new();
    let lease = Lease::acquire(store, request("alice", TTL)).await.unwrap();
    advance(TTL).await;
    assert_eq!(lease.check().unwrap_err().kind(), ErrorKind::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn time_is_reckoned_from_the_question_though_the_answer_be_slow() {
    let store = Wire::new();
    store.set(Wire::ANSWERS_LATE);
    let began = Instant::now();
    let lease = Lease::acquire(store.clone(), request("alice", TTL)).await.unwrap();
    assert_eq!(began.elapsed(), Wire::LATE);
    // Renewed 10 s after each question, and answered 4 s later.
    sleep(TTL / 2).await;
    store.set(Wire::REFUSES);
    lease.lost().await;
    assert_eq!(began.elapsed().as_secs(), 10 + 27);
}

#[tokio::test(start_paused = true)]
async fn a_margin_that_leaves_no_time_is_refused() {
    let store = Wire::new();
    let refused = Lease::acquire_with_margin(store.clone(), request("alice", TTL), TTL).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(store.read(&key()).await.unwrap(), LeaseInfo::default());
}

/// A store that can be out of reach.
#[derive(Debug)]
struct Wire {
    inner: InMemoryLeaseStore,
    fault: AtomicU8,
}

impl Wire {
    const WORKS: u8 = 0;
    const REFUSES: u8 = 1;
    const HANGS: u8 = 2;
    const ANSWERS_LATE: u8 = 3;
    const LATE: Duration = Duration::from_secs(4);

    fn new() -> Arc<Self> {
        let inner = InMemoryLeaseStore::new().with_clock(Arc::new(PausedClock::new()));
        Arc::new(Self { inner, fault: AtomicU8::new(Self::WORKS) })
    }

    fn set(&self, fault: u8) {
        self.fault.store(fault, Ordering::Relaxed);
    }

    async fn answer<T>(&self, answer: Result<T>) -> Result<T> {
        if self.fault.load(Ordering::Relaxed) == Self::ANSWERS_LATE {
            sleep(Self::LATE).await;
        }
        answer
    }

    async fn reach(&self) -> Result<()> {
        match self.fault.load(Ordering::Relaxed) {
            Self::REFUSES => Err(Error::new(ErrorKind::Unavailable, "reach lease store")),
            Self::HANGS => std::future::pending().await,
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl LeaseStore for Wire {
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant> {
        self.reach().await?;
        self.answer(self.inner.acquire(request).await).await
    }

    async fn renew(&self, request: RenewRequest) -> Result<Grant> {
        self.reach().await?;
        self.answer(self.inner.renew(request).await).await
    }

    async fn release(&self, request: ReleaseRequest) -> Result<()> {
        self.reach().await?;
        self.inner.release(request).await
    }

    async fn read(&self, key: &LeaseKey) -> Result<LeaseInfo> {
        self.reach().await?;
        self.inner.read(key).await
    }
}
