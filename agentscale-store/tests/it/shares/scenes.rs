//! The same on every database.

use agentscale_core::checkpoint::{
    At, DeleteRequest, FieldWrite, ForkRequest, LoadRequest, PruneRequest, RetentionPolicy, Version,
};
use agentscale_core::{CheckpointStore, ErrorKind};

use crate::scene::{Owner, thread};

pub(crate) const TURN: usize = 2_048;

pub(crate) async fn grow(owner: &mut Owner, turns: usize) {
    for _ in 0..turns {
        owner.write(&"x".repeat(TURN)).await.expect("the owner commits");
    }
}

pub(crate) async fn parts(store: &impl CheckpointStore, key: &str) -> usize {
    let tip = store.load(LoadRequest::tip(thread(key))).await.expect("it is read").expect("there is a tip");
    tip.fields.iter().map(|field| field.appended.len()).sum()
}

pub(crate) async fn fork(store: &impl CheckpointStore, from: &str, to: &str) {
    store.fork(ForkRequest::new(thread(from), thread(to))).await.expect("it is forked");
}

async fn delete(store: &(impl CheckpointStore + Clone), key: &str) {
    let owner = Owner::claim(store, key).await;
    store.delete(DeleteRequest::new(thread(key), owner.epoch)).await.expect("it is deleted");
}

fn keep_one() -> RetentionPolicy {
    RetentionPolicy { keep_last: 1, ..RetentionPolicy::default() }
}

pub(crate) async fn replace_all(owner: &mut Owner) {
    let all = FieldWrite::Replace { name: "notes".into(), value: "[]".into() };
    owner.send(owner.commit(vec![all])).await.expect("the owner commits");
}

/// By each turn up to the thousandth, beyond what is too little for a whole state.
pub(crate) async fn a_thread_that_grows(store: &(impl CheckpointStore + Clone), payload: impl Fn() -> u64) {
    let mut owner = Owner::claim(store, "alice").await;
    for turn in 1..=1_000 {
        grow(&mut owner, 1).await;
        let most = turn * TURN * 5 / 2 + (64 << 10);
        assert!(payload() <= most as u64, "turn {turn}");
    }
    assert!(payload() <= 1_000 * TURN as u64 * 5 / 2);
    assert_eq!(parts(store, "alice").await, 1_000);
}

pub(crate) async fn a_fork_goes_on(store: &(impl CheckpointStore + Clone), payload: impl Fn() -> u64) {
    grow(&mut Owner::claim(store, "alice").await, 200).await;
    let before = payload();
    fork(store, "alice", "bob").await;
    assert!(payload() - before <= 64);
    grow(&mut Owner::claim(store, "bob").await, 300).await;
    assert_eq!((parts(store, "alice").await, parts(store, "bob").await), (200, 500));
}

pub(crate) async fn a_fork_outlives_its_source(store: &(impl CheckpointStore + Clone)) {
    grow(&mut Owner::claim(store, "alice").await, 10).await;
    let early = ForkRequest::new(thread("alice"), thread("early")).at(At::Version(Version(4)));
    store.fork(early).await.expect("it is forked");
    fork(store, "alice", "late").await;
    fork(store, "late", "of-late").await;
    replace_all(&mut Owner::claim(store, "alice").await).await;
    store.prune(PruneRequest::thread(thread("alice"), keep_one())).await.expect("it is pruned");
    let lengths =
        async || (parts(store, "early").await, parts(store, "late").await, parts(store, "of-late").await);
    assert_eq!(lengths().await, (4, 10, 10));
    delete(store, "alice").await;
    assert_eq!(lengths().await, (4, 10, 10));
    grow(&mut Owner::claim(store, "alice").await, 3).await;
    delete(store, "late").await;
    grow(&mut Owner::claim(store, "of-late").await, 2).await;
    assert_eq!((parts(store, "early").await, parts(store, "of-late").await), (4, 12));
    assert_eq!(parts(store, "alice").await, 3);
}

/// `rows` counts those of checkpoints, and those that say what forks share.
pub(crate) async fn nobody_shares_any_more(
    store: &(impl CheckpointStore + Clone),
    rows: impl AsyncFn() -> (i64, i64),
) {
    grow(&mut Owner::claim(store, "alice").await, 10).await;
    fork(store, "alice", "bob").await;
    grow(&mut Owner::claim(store, "bob").await, 1).await;
    fork(store, "bob", "carol").await;
    delete(store, "alice").await;
    assert_eq!(rows().await, (13, 3));
    delete(store, "bob").await;
    assert_eq!(rows().await, (13, 3));
    delete(store, "carol").await;
    assert_eq!(rows().await, (0, 0));
}

/// The source lives on; it was pruned while others built on it, and lets go what they leave.
pub(crate) async fn a_pruned_source(
    store: &(impl CheckpointStore + Clone),
    rows: impl AsyncFn() -> (i64, i64),
) {
    let mut alice = Owner::claim(store, "alice").await;
    grow(&mut alice, 10).await;
    fork(store, "alice", "bob").await;
    replace_all(&mut alice).await;
    let prune = async || store.prune(PruneRequest::all(keep_one())).await.expect("it is pruned").checkpoints;
    assert_eq!(prune().await, 10);
    assert_eq!(rows().await, (12, 1));
    delete(store, "bob").await;
    assert_eq!(prune().await, 0);
    assert_eq!(rows().await, (1, 0));
}

/// A fork that has a whole state of its own needs its source no more.
pub(crate) async fn a_fork_that_lets_go(
    store: &(impl CheckpointStore + Clone),
    rows: impl AsyncFn() -> (i64, i64),
) {
    grow(&mut Owner::claim(store, "alice").await, 5).await;
    fork(store, "alice", "bob").await;
    delete(store, "alice").await;
    grow(&mut Owner::claim(store, "bob").await, 40).await;
    assert_eq!(rows().await, (46, 1));
    store.prune(PruneRequest::thread(thread("bob"), keep_one())).await.expect("it is pruned");
    let (left, shared) = rows().await;
    assert!(left < 20 && shared == 0, "{left} rows, {shared} shared");
    assert_eq!(parts(store, "bob").await, 45);
}

/// Each is a fork of the one before; those that would share too many threads copy.
pub(crate) async fn forks_of_forks(store: &(impl CheckpointStore + Clone)) {
    grow(&mut Owner::claim(store, "fork-0").await, 1).await;
    for number in 1..40 {
        fork(store, &format!("fork-{}", number - 1), &format!("fork-{number}")).await;
        grow(&mut Owner::claim(store, &format!("fork-{number}")).await, 1).await;
    }
    for number in 0..40 {
        assert_eq!(parts(store, &format!("fork-{number}")).await, number + 1);
    }
}

/// Loads a fork of `alice` that `remove` took a row from.
pub(crate) async fn a_source_that_lost_a_row(
    store: &(impl CheckpointStore + Clone),
    remove: impl AsyncFnOnce(),
) {
    grow(&mut Owner::claim(store, "alice").await, 3).await;
    fork(store, "alice", "bob").await;
    remove().await;
    let error = store.load(LoadRequest::tip(thread("bob"))).await.expect_err("a row is missing");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// A source that is replaced, pruned and deleted while it is forked from: each fork has a state that once was.
pub(crate) async fn forks_beside_removals(store: &(impl CheckpointStore + Clone + 'static)) {
    const FORKS: usize = 60;
    let source = {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0_usize.. {
                let mut owner = Owner::claim(&store, "alice").await;
                replace_all(&mut owner).await;
                for _ in 0..3 {
                    owner.write("[1]").await.expect("the owner commits");
                    tokio::task::yield_now().await;
                }
                replace_all(&mut owner).await;
                store.prune(PruneRequest::thread(thread("alice"), keep_one())).await.expect("it is pruned");
                if round % 4 == 3 {
                    store.delete(DeleteRequest::new(thread("alice"), owner.epoch)).await.expect("it goes");
                }
            }
        })
    };
    let mut forked = 0;
    while forked < FORKS {
        let key = format!("fork-{forked}");
        match store.fork(ForkRequest::new(thread("alice"), thread(&key))).await {
            Ok(_) => forked += 1,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict), "{error:?}")
            }
        }
    }
    source.abort();
    for number in 0..FORKS {
        assert!(parts(store, &format!("fork-{number}")).await <= 3);
    }
}
