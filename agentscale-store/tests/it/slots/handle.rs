//! Slots as one instance takes them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale_core::slots::{
    AccountSlots, Epoch, JoinRequest, LeaveRequest, SlotConfig, SlotExchange, SlotKey, SlotMember,
    SlotRequest, SlotsExchanged, Tiers,
};
use agentscale_core::time::PausedClock;
use agentscale_core::{Account, Error, ErrorKind, Result, Retry, SlotStore};
use agentscale_store::{InMemoryCheckpointStore, InMemorySlotStore, Stores};
use async_trait::async_trait;
use tokio::time::{Instant, sleep};

const SOON: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(3_600);

pub(super) fn key(account: &str) -> SlotKey {
    SlotKey::new("acme".try_into().expect("a name"), Some(Account::new(account).expect("a name")))
}

/// A store in memory on the paused time of tokio, which can be out of reach and forget who was there.
#[derive(Clone, Debug)]
struct Flaky {
    inner: Arc<Mutex<InMemorySlotStore>>,
    fails: Arc<AtomicBool>,
}

impl Flaky {
    fn new() -> Self {
        Self { inner: Arc::new(Mutex::new(Self::empty())), fails: Arc::default() }
    }

    fn empty() -> InMemorySlotStore {
        InMemorySlotStore::new().with_clock(Arc::new(PausedClock::new()))
    }

    fn start(&self, config: SlotConfig) -> AccountSlots {
        AccountSlots::start(Arc::new(self.clone()), config).expect("it starts")
    }

    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    fn forget(&self) {
        *self.inner.lock().expect("nothing panics under it") = Self::empty();
    }

    fn inner(&self) -> Result<InMemorySlotStore> {
        match self.fails.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Unavailable, "reach the store")),
            false => Ok(self.inner.lock().expect("nothing panics under it").clone()),
        }
    }

    async fn held_by_all(&self, account: &str) -> u32 {
        self.held(&[key(account)]).await.expect("the store is read")[0]
    }
}

#[async_trait]
impl SlotStore for Flaky {
    async fn join(&self, request: JoinRequest) -> Result<SlotMember> {
        self.inner()?.join(request).await
    }

    async fn exchange(&self, exchange: SlotExchange) -> Result<SlotsExchanged> {
        self.inner()?.exchange(exchange).await
    }

    async fn leave(&self, request: LeaveRequest) -> Result<()> {
        self.inner()?.leave(request).await
    }

    async fn held(&self, keys: &[SlotKey]) -> Result<Vec<u32>> {
        self.inner()?.held(keys).await
    }
}

fn ask(account: &str, limit: u32) -> SlotRequest {
    SlotRequest::new(key(account), limit)
}

fn at_once(account: &str, limit: u32) -> SlotRequest {
    ask(account, limit).within(Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_dropped_is_free_for_the_next() {
    let store = Flaky::new();
    let slots = store.start(SlotConfig::default());
    let one = slots.take(ask("alice", 1)).await.unwrap();
    assert_eq!(one.check().unwrap(), one.epoch());
    let refused = slots.take(at_once("alice", 1)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.retry()), (ErrorKind::QuotaExceeded, Retry::Later));
    let bob = slots.take(at_once("bob", 1)).await.unwrap();
    drop(one);
    slots.take(at_once("alice", 1)).await.unwrap();
    drop(bob);
    slots.close().await.unwrap();
    assert_eq!(store.held_by_all("alice").await + store.held_by_all("bob").await, 0);
}

#[tokio::test(start_paused = true)]
async fn runs_of_an_account_get_their_slots_in_the_order_in_which_they_came() {
    let slots = Flaky::new().start(SlotConfig::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    let first = slots.take(ask("alice", 1)).await.unwrap();
    let mut runs = Vec::new();
    for number in 0..20 {
        let (slots, order) = (slots.clone(), order.clone());
        runs.push(tokio::spawn(async move {
            let _slot = slots.take(ask("alice", 1)).await.unwrap();
            order.lock().unwrap().push(number);
        }));
        tokio::task::yield_now().await;
    }
    drop(first);
    for run in runs {
        run.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_learns_it_in_time_and_leaves_the_line() {
    let store = Flaky::new();
    let slots = store.start(SlotConfig::default());
    let held = slots.take(ask("alice", 1)).await.unwrap();
    let start = Instant::now();
    let refused = slots.take(ask("alice", 1).within(SOON)).await.unwrap_err();
    assert_eq!((refused.kind(), start.elapsed()), (ErrorKind::QuotaExceeded, SOON));
    let refused = slots.take(ask("alice", 1)).await.unwrap_err();
    assert_eq!(
        (refused.kind(), start.elapsed()),
        (ErrorKind::QuotaExceeded, SOON + SlotConfig::default().max_wait)
    );
    assert_eq!(slots.take(ask("alice", 0)).await.unwrap_err().retry(), Retry::Never);
    assert!(tokio::time::timeout(SOON, slots.take(ask("alice", 1))).await.is_err());
    // None of them takes the slot any more, in this instance or another.
    drop(held);
    let other = store.start(SlotConfig::default());
    other.take(at_once("alice", 1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn lines_are_bounded() {
    let mut config = SlotConfig::default();
    (config.max_waiting_of_account, config.max_waiting) = (2, 3);
    let slots = Flaky::new().start(config);
    let mut waits = Vec::new();
    let held = (slots.take(ask("alice", 1)).await.unwrap(), slots.take(ask("bob", 1)).await.unwrap());
    for account in ["alice", "alice", "bob"] {
        let slots = slots.clone();
        waits.push(tokio::spawn(async move { slots.take(ask(account, 1)).await.map(drop) }));
        tokio::task::yield_now().await;
    }
    for account in ["alice", "bob"] {
        assert_eq!(slots.take(ask(account, 1)).await.unwrap_err().kind(), ErrorKind::Overloaded);
    }
    drop(held);
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
    let mut wrong = SlotConfig::default();
    wrong.max_waiting = 0;
    let refused = AccountSlots::start(Arc::new(Flaky::new()), wrong).unwrap_err();
    assert_eq!((refused.kind(), refused.context("field")), (ErrorKind::InvalidInput, Some("max_waiting")));
}

#[tokio::test(start_paused = true)]
async fn another_tier_holds_for_runs_that_wait_and_takes_nothing_from_those_under_way() {
    let tiers = Tiers::default();
    let (free, paid) = (tiers.slots("free").unwrap(), tiers.slots("paid").unwrap());
    assert_eq!(tiers.slots("gold").unwrap_err().kind(), ErrorKind::NotFound);
    let slots = Flaky::new().start(SlotConfig::default());
    let first = slots.take(ask("alice", free)).await.unwrap();
    let waits = tokio::spawn({
        let slots = slots.clone();
        async move { slots.take(ask("alice", free)).await }
    });
    tokio::task::yield_now().await;
    // The account has paid: the next run says so, and the one that waits goes too.
    let mut held = vec![slots.take(ask("alice", paid)).await.unwrap(), waits.await.unwrap().unwrap()];
    for _ in 0..paid - 3 {
        held.push(slots.take(at_once("alice", paid)).await.unwrap());
    }
    assert_eq!(slots.take(at_once("alice", paid)).await.unwrap_err().kind(), ErrorKind::QuotaExceeded);
    // It pays no more.
    while !held.is_empty() {
        first.check().unwrap();
        assert_eq!(slots.take(at_once("alice", free)).await.unwrap_err().kind(), ErrorKind::QuotaExceeded);
        held.pop();
    }
    drop(first);
    slots.take(at_once("alice", free)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_instances_go_by_turns_though_one_of_them_has_much_more_to_do() {
    let store = Flaky::new();
    let (busy, calm) = (store.start(SlotConfig::default()), store.start(SlotConfig::default()));
    for _ in 0..50 {
        let busy = busy.clone();
        tokio::spawn(async move {
            let _slot = busy.take(ask("alice", 1).within(LONG)).await.unwrap();
            sleep(SOON).await;
        });
    }
    sleep(SOON / 2).await;
    let start = Instant::now();
    for _ in 0..5 {
        let _slot = calm.take(ask("alice", 1)).await.unwrap();
    }
    // One run of the other for each of these, and the questions between.
    assert!(start.elapsed() < 5 * 3 * (SOON + SlotConfig::default().max_poll), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_idle_slot_is_kept_and_an_instance_without_any_leaves_the_store() {
    let store = Flaky::new();
    let slots = store.start(SlotConfig::default());
    let held = slots.take(ask("alice", 1)).await.unwrap();
    sleep(LONG).await;
    held.check().unwrap();
    assert_eq!(store.held_by_all("alice").await, 1);
    let epoch = held.epoch();
    drop(held);
    sleep(LONG).await;
    let left = store.leave(LeaveRequest::new(epoch)).await;
    assert_eq!(left.unwrap_err().kind(), ErrorKind::Fenced);
    assert_ne!(slots.take(ask("alice", 1)).await.unwrap().epoch(), epoch);
}

#[tokio::test(start_paused = true)]
async fn without_the_store_slots_are_lost_in_time_and_taken_anew_when_it_is_back() {
    let store = Flaky::new();
    let slots = store.start(SlotConfig::default());
    let held = slots.take(ask("alice", 1)).await.unwrap();
    store.fail(true);
    let start = Instant::now();
    assert_eq!(slots.take(at_once("alice", 2)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(slots.take(ask("alice", 2).within(SOON)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(held.lost().await.kind(), ErrorKind::DeadlineExceeded);
    assert!(start.elapsed() < SlotConfig::default().ttl, "before the store gives it to another one");
    assert_eq!(held.check().unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    let waits = tokio::spawn({
        let slots = slots.clone();
        async move { slots.take(ask("alice", 1)).await }
    });
    sleep(SlotConfig::default().ttl).await;
    store.fail(false);
    let anew = waits.await.unwrap().unwrap();
    assert!(anew.epoch() > held.epoch());
    // What comes late from the old one counts for nothing.
    drop(held);
    sleep(SOON).await;
    assert_eq!(store.held_by_all("alice").await, 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_fenced_loses_its_slots_and_those_who_wait_go_on() {
    let store = Flaky::new();
    let slots = store.start(SlotConfig::default());
    let held = slots.take(ask("alice", 1)).await.unwrap();
    // As a server that was set up anew.
    store.forget();
    store.join(JoinRequest::new(LONG)).await.unwrap();
    store.join(JoinRequest::new(LONG)).await.unwrap();
    let lost = Epoch { incarnation: 0, counter: 1 };
    store.leave(LeaveRequest::new(lost)).await.unwrap();
    let anew = slots.take(ask("alice", 1)).await.unwrap();
    assert_eq!(held.lost().await.kind(), ErrorKind::Fenced);
    anew.check().unwrap();
}

#[tokio::test(start_paused = true)]
async fn closing_gives_all_back_and_refuses_who_waits() {
    let store = Flaky::new();
    let slots = store.start(SlotConfig::default());
    let held = slots.take(ask("alice", 1)).await.unwrap();
    let waits = tokio::spawn({
        let slots = slots.clone();
        async move { slots.take(ask("alice", 1)).await.map(drop) }
    });
    tokio::task::yield_now().await;
    slots.close().await.unwrap();
    assert_eq!(store.held_by_all("alice").await, 0);
    assert_eq!(held.lost().await.kind(), ErrorKind::Cancelled);
    assert_eq!(waits.await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(slots.take(ask("alice", 1)).await.unwrap_err().kind(), ErrorKind::Cancelled);
    slots.close().await.unwrap();
    // So does the last clone that is dropped.
    let slots = store.start(SlotConfig::default());
    let held = slots.take(ask("alice", 1)).await.unwrap();
    drop(slots);
    assert_eq!(held.lost().await.kind(), ErrorKind::Cancelled);
    sleep(SOON).await;
    assert_eq!(store.held_by_all("alice").await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_dropped_at_any_moment_keeps_no_slot() {
    let store = Flaky::new();
    let slots = store.start(SlotConfig::default());
    let mut tasks = Vec::new();
    for number in 0..200_u64 {
        let slots = slots.clone();
        tasks.push(tokio::spawn(async move {
            let run = async {
                let _slot = slots.take(ask("alice", 3).within(LONG)).await;
                sleep(Duration::from_micros(700)).await;
            };
            drop(tokio::time::timeout(Duration::from_micros(number * 97), run).await);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    for _ in 0..3 {
        std::mem::forget(slots.take(ask("alice", 3)).await.unwrap());
    }
    assert_eq!(slots.take(at_once("alice", 3)).await.unwrap_err().kind(), ErrorKind::QuotaExceeded);
}

#[tokio::test]
async fn a_bundle_counts_slots_beside_its_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::sqlite(folder.path()).await.unwrap();
    for stores in [stores.clone(), Stores::in_memory()] {
        let one = AccountSlots::start(stores.slots().await.unwrap(), SlotConfig::default()).unwrap();
        let other =
            AccountSlots::start(stores.clone().slots().await.unwrap(), SlotConfig::default()).unwrap();
        let _held = one.take(ask("alice", 1)).await.unwrap();
        assert_eq!(other.take(at_once("alice", 1)).await.unwrap_err().kind(), ErrorKind::QuotaExceeded);
    }
    assert!(folder.path().join("slots.db").exists());
    let slots = stores.slots().await.unwrap();
    stores.close().await.unwrap();
    assert_eq!(slots.held(&[key("alice")]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let own = Stores::with_checkpoints(Arc::new(InMemoryCheckpointStore::new()));
    assert_eq!(own.slots().await.unwrap_err().kind(), ErrorKind::Unsupported);
}
