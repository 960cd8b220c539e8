//! The faults that the test kit injects, over a store that shows what reached it.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::{
    AppendSteps, ClaimRequest, Commit, CommitId, DeadLetter, DeleteRequest, Epoch, FieldWrite, ForkRequest,
    HistoryRequest, LoadRequest, OutboxMessage, PruneRequest, RetentionPolicy, StateHeader, ThreadQuery,
    TurnId, Version,
};
use agentscale_core::testkit::{FaultyStore, StoreFault, StoreOperation};
use agentscale_core::{CheckpointStore, ErrorKind, IdempotencyKey, MessageId, Result, Tenant};
use agentscale_store::InMemoryCheckpointStore;
use tokio::time::{Instant, timeout};

use crate::scene::thread;

const EVERY_OPERATION: [StoreOperation; 16] = [
    StoreOperation::Claim,
    StoreOperation::Commit,
    StoreOperation::Load,
    StoreOperation::Outcome,
    StoreOperation::AppendSteps,
    StoreOperation::PendingOutbox,
    StoreOperation::SettleOutbox,
    StoreOperation::RecordAttempt,
    StoreOperation::Bury,
    StoreOperation::DeadLetters,
    StoreOperation::Redrive,
    StoreOperation::History,
    StoreOperation::Threads,
    StoreOperation::Fork,
    StoreOperation::Prune,
    StoreOperation::Delete,
];

type Store = FaultyStore<InMemoryCheckpointStore>;

fn store() -> Store {
    FaultyStore::new(InMemoryCheckpointStore::new())
}

async fn claim(store: &Store) -> Result<Epoch> {
    Ok(store.claim(ClaimRequest::new(thread("alice"))).await?.epoch)
}

fn commit(epoch: Epoch, expected: Version) -> Commit {
    let id = CommitId(*MessageId::new(1).as_uuid());
    let mut commit = Commit::new(id, thread("alice"), epoch, expected, StateHeader::json(1));
    commit.fields = vec![FieldWrite::Append { name: "notes".into(), items: "[1]".into() }];
    commit
}

async fn version(store: &Store) -> u64 {
    let tip = store.load(LoadRequest::tip(thread("alice"))).await.expect("the store is read");
    tip.map_or(0, |tip| tip.info.version.0)
}

/// Calls an operation with a request that a store answers or refuses by itself.
async fn call(store: &Store, operation: StoreOperation) -> Result<()> {
    let (thread, key, epoch) = (thread("alice"), IdempotencyKey::new("key")?, Epoch::default());
    let message = OutboxMessage { id: MessageId::new(1), message: "{}".into() };
    match operation {
        StoreOperation::Claim => store.claim(ClaimRequest::new(thread)).await.map(drop),
        StoreOperation::Commit => store.commit(commit(epoch, Version(0))).await.map(drop),
        StoreOperation::Load => store.load(LoadRequest::tip(thread)).await.map(drop),
        StoreOperation::Outcome => store.outcome(&thread, &key).await.map(drop),
        StoreOperation::AppendSteps => {
            store.append_steps(AppendSteps::new(thread, epoch, TurnId("turn".to_owned()), Vec::new())).await
        }
        StoreOperation::PendingOutbox => store.pending_outbox(None, 1).await.map(drop),
        StoreOperation::SettleOutbox => store.settle_outbox(vec![message.id]).await,
        StoreOperation::RecordAttempt => store.record_attempt(message.id).await.map(drop),
        StoreOperation::Bury => store.bury(DeadLetter::new(thread, message, 1, "cause")).await,
        StoreOperation::DeadLetters => store.dead_letters(None, 1).await.map(drop),
        StoreOperation::Redrive => store.redrive(vec![message.id]).await.map(drop),
        StoreOperation::History => store.history(HistoryRequest::new(thread, 1)).await.map(drop),
        StoreOperation::Threads => store.threads(ThreadQuery::new(Tenant::new("acme")?, 1)).await.map(drop),
        StoreOperation::Fork => {
            store.fork(ForkRequest::new(thread, crate::scene::thread("bob"))).await.map(drop)
        }
        StoreOperation::Prune => store.prune(PruneRequest::all(RetentionPolicy::default())).await.map(drop),
        StoreOperation::Delete => store.delete(DeleteRequest::new(thread, epoch)).await,
        other => panic!("{other:?} is not called here"),
    }
}

#[tokio::test]
async fn a_fault_meets_the_next_call_of_its_operation_and_no_other() {
    for faulty in EVERY_OPERATION {
        let store = store();
        store.inject(faulty, StoreFault::Fail(ErrorKind::QuotaExceeded));
        for operation in EVERY_OPERATION {
            let failed = call(&store, operation).await;
            let injected = failed.is_err_and(|error| error.kind() == ErrorKind::QuotaExceeded);
            assert_eq!(injected, operation == faulty, "{operation:?} with a fault of {faulty:?}");
        }
        assert_eq!(store.met(), 1, "{faulty:?}");
        let again = call(&store, faulty).await;
        assert!(!again.is_err_and(|error| error.kind() == ErrorKind::QuotaExceeded), "{faulty:?}");
    }
}

#[tokio::test]
async fn faults_of_an_operation_are_met_in_their_order() {
    let store = store();
    for kind in [ErrorKind::Overloaded, ErrorKind::Corrupt] {
        store.inject(StoreOperation::Claim, StoreFault::Fail(kind));
    }
    assert_eq!(claim(&store).await.unwrap_err().kind(), ErrorKind::Overloaded);
    assert_eq!(claim(&store.clone()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(claim(&store).await.unwrap().counter, 1, "no claim was made before");
    assert_eq!(store.met(), 2);
}

#[tokio::test]
async fn a_failed_call_does_not_reach_the_store() {
    let store = store();
    let epoch = claim(&store).await.unwrap();
    store.inject(StoreOperation::Commit, StoreFault::Fail(ErrorKind::RateLimited));
    let error = store.commit(commit(epoch, Version(0))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(version(&store).await, 0);
    store.commit(commit(epoch, Version(0))).await.unwrap();
    assert_eq!(version(&store).await, 1);
}

#[tokio::test]
async fn a_lost_answer_leaves_what_the_store_did() {
    let store = store();
    let epoch = claim(&store).await.unwrap();
    store.inject(StoreOperation::Commit, StoreFault::LoseAnswer);
    let sent = commit(epoch, Version(0));
    assert_eq!(store.commit(sent.clone()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(version(&store).await, 1);
    assert_eq!(store.commit(sent).await.unwrap().version, Version(1), "sent again under its id");
}

#[tokio::test]
async fn a_lost_refusal_is_unavailable_too() {
    let store = store();
    let epoch = claim(&store).await.unwrap();
    claim(&store).await.unwrap();
    store.inject(StoreOperation::Commit, StoreFault::LoseAnswer);
    let fenced = commit(epoch, Version(0));
    assert_eq!(store.commit(fenced.clone()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(store.commit(fenced).await.unwrap_err().kind(), ErrorKind::Fenced);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_reaches_the_store_afterwards() {
    let store = store();
    let epoch = claim(&store).await.unwrap();
    let wait = Duration::from_secs(30);
    store.inject(StoreOperation::Commit, StoreFault::Delay(wait));
    let began = Instant::now();
    let sent = tokio::spawn({
        let store = store.clone();
        async move { store.commit(commit(epoch, Version(0))).await }
    });
    tokio::time::sleep(wait - Duration::from_millis(1)).await;
    assert_eq!(version(&store).await, 0);
    assert_eq!(sent.await.unwrap().unwrap().version, Version(1));
    assert_eq!(began.elapsed(), wait);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_never_ends_and_does_not_reach_the_store() {
    let store = store();
    let epoch = claim(&store).await.unwrap();
    store.inject(StoreOperation::Commit, StoreFault::Hang);
    let days = Duration::from_secs(7 * 86_400);
    timeout(days, store.commit(commit(epoch, Version(0)))).await.unwrap_err();
    assert_eq!((version(&store).await, store.met()), (0, 1));
}

/// Which of 1,000 claims failed, and how many the store made.
async fn claims(seed: u64, rate: f64) -> (Vec<bool>, usize) {
    let within = Arc::new(InMemoryCheckpointStore::new());
    let store = FaultyStore::new(within.clone()).with_chance(seed, rate);
    let mut failed = Vec::new();
    for _ in 0..1_000 {
        let claimed = store.claim(ClaimRequest::new(thread("alice"))).await;
        failed.push(claimed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable));
        assert_eq!(claimed.is_err(), failed[failed.len() - 1], "another kind");
    }
    assert_eq!(store.met() as usize, failed.iter().filter(|failed| **failed).count());
    let next =
        within.claim(ClaimRequest::new(thread("alice"))).await.expect("the store within has no faults");
    (failed, next.epoch.counter as usize - 1)
}

#[tokio::test]
async fn chance_fails_its_share_of_calls_in_both_ways_and_alike_for_a_seed() {
    let (failed, made) = claims(7, 0.3).await;
    assert_eq!((failed.clone(), made), claims(7, 0.3).await);
    assert_ne!((failed.clone(), made), claims(8, 0.3).await);
    let failures = failed.iter().filter(|failed| **failed).count();
    let lost = made - (1_000 - failures);
    assert!((250..=350).contains(&failures), "{failures}");
    assert!((100..=failures - 100).contains(&lost), "{lost} of {failures}");

    let (failed, made) = claims(7, 0.0).await;
    assert_eq!((failed.contains(&true), made), (false, 1_000));
    let (failed, made) = claims(7, 1.0).await;
    assert!(!failed.contains(&false) && (300..700).contains(&made), "{made}");
}

#[tokio::test]
async fn the_script_comes_before_chance() {
    let store = store().with_chance(7, 1.0);
    store.inject(StoreOperation::Claim, StoreFault::Fail(ErrorKind::Corrupt));
    assert_eq!(claim(&store).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(claim(&store).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
