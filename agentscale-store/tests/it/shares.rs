//! What a thread that grows hands to the database, and what its forks share with it.

use std::path::Path;

use agentscale_core::checkpoint::{
    At, DeadLetter, DeleteRequest, FieldWrite, ForkRequest, LoadRequest, OutboxMessage, PruneRequest,
    RetentionPolicy, Version,
};
use agentscale_core::{CheckpointStore, MessageId};
use agentscale_store::{SqliteCheckpointConfig, SqliteCheckpointStore};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::scene::{Owner, open_with, thread};

const TURN: usize = 2_048;

async fn open(folder: &Path) -> SqliteCheckpointStore {
    open_with(&folder.join("checkpoints.db"), SqliteCheckpointConfig::default()).await
}

async fn grow(owner: &mut Owner, turns: usize) {
    for _ in 0..turns {
        owner.write(&"x".repeat(TURN)).await.expect("the owner commits");
    }
}

async fn parts(store: &SqliteCheckpointStore, key: &str) -> usize {
    let tip = store.load(LoadRequest::tip(thread(key))).await.expect("it is read").expect("there is a tip");
    tip.fields.iter().map(|field| field.appended.len()).sum()
}

async fn fork(store: &SqliteCheckpointStore, from: &str, to: &str) {
    store.fork(ForkRequest::new(thread(from), thread(to))).await.expect("it is forked");
}

async fn delete(store: &SqliteCheckpointStore, key: &str) {
    let owner = Owner::claim(store, key).await;
    store.delete(DeleteRequest::new(thread(key), owner.epoch)).await.expect("it is deleted");
}

/// The rows of checkpoints, and those that say what forks share.
pub(crate) async fn rows(folder: &Path) -> (i64, i64) {
    let path = folder.join("checkpoints.db");
    let mut file =
        SqliteConnection::connect(path.to_str().expect("the file is read")).await.expect("the file is read");
    sqlx::query_as("SELECT (SELECT count(*) FROM checkpoints), (SELECT count(*) FROM shares)")
        .fetch_one(&mut file)
        .await
        .expect("the file is read")
}

/// By each turn up to the thousandth, beyond what is too little for a whole state.
#[tokio::test]
async fn a_thread_that_grows_hands_two_and_a_half_times_its_state_to_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut owner = Owner::claim(&store, "alice").await;
    for turn in 1..=1_000 {
        grow(&mut owner, 1).await;
        let most = turn * TURN * 5 / 2 + (64 << 10);
        assert!(store.stats().payload_bytes <= most as u64, "turn {turn}");
    }
    assert!(store.stats().payload_bytes <= 1_000 * TURN as u64 * 5 / 2);
    assert_eq!(parts(&store, "alice").await, 1_000);
}

#[tokio::test]
async fn a_fork_hands_nothing_of_the_state_to_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    grow(&mut Owner::claim(&store, "alice").await, 200).await;
    let before = store.stats().payload_bytes;
    fork(&store, "alice", "bob").await;
    assert!(store.stats().payload_bytes - before <= 64);
    grow(&mut Owner::claim(&store, "bob").await, 300).await;
    assert_eq!((parts(&store, "alice").await, parts(&store, "bob").await), (200, 500));
}

#[tokio::test]
async fn a_fork_outlives_its_source_however_that_goes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    grow(&mut Owner::claim(&store, "alice").await, 10).await;
    let early = ForkRequest::new(thread("alice"), thread("early")).at(At::Version(Version(4)));
    store.fork(early).await.unwrap();
    fork(&store, "alice", "late").await;
    fork(&store, "late", "of-late").await;
    let policy = RetentionPolicy { keep_last: 1, ..RetentionPolicy::default() };
    let mut alice = Owner::claim(&store, "alice").await;
    let all = FieldWrite::Replace { name: "notes".into(), value: "[]".into() };
    alice.send(alice.commit(vec![all])).await.unwrap();
    store.prune(PruneRequest::thread(thread("alice"), policy.clone())).await.unwrap();
    let lengths =
        async || (parts(&store, "early").await, parts(&store, "late").await, parts(&store, "of-late").await);
    assert_eq!(lengths().await, (4, 10, 10));
    delete(&store, "alice").await;
    assert_eq!(lengths().await, (4, 10, 10));
    grow(&mut Owner::claim(&store, "alice").await, 3).await;
    delete(&store, "late").await;
    grow(&mut Owner::claim(&store, "of-late").await, 2).await;
    assert_eq!((parts(&store, "early").await, parts(&store, "of-late").await), (4, 12));
    assert_eq!(parts(&store, "alice").await, 3);
}

#[tokio::test]
async fn what_nobody_shares_any_more_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    grow(&mut Owner::claim(&store, "alice").await, 10).await;
    fork(&store, "alice", "bob").await;
    grow(&mut Owner::claim(&store, "bob").await, 1).await;
    fork(&store, "bob", "carol").await;
    delete(&store, "alice").await;
    assert_eq!(rows(folder.path()).await, (13, 3));
    delete(&store, "bob").await;
    assert_eq!(rows(folder.path()).await, (13, 3));
    delete(&store, "carol").await;
    assert_eq!(rows(folder.path()).await, (0, 0));
}

/// The source lives on; it was pruned while others built on it, and lets go what they leave.
#[tokio::test]
async fn a_pruned_source_lets_go_what_its_forks_leave() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut alice = Owner::claim(&store, "alice").await;
    grow(&mut alice, 10).await;
    fork(&store, "alice", "bob").await;
    let all = FieldWrite::Replace { name: "notes".into(), value: "[]".into() };
    alice.send(alice.commit(vec![all])).await.unwrap();
    let policy = RetentionPolicy { keep_last: 1, ..RetentionPolicy::default() };
    let prune = async || store.prune(PruneRequest::all(policy.clone())).await.unwrap().checkpoints;
    assert_eq!(prune().await, 10);
    assert_eq!(rows(folder.path()).await, (12, 1));
    delete(&store, "bob").await;
    assert_eq!(prune().await, 0);
    assert_eq!(rows(folder.path()).await, (1, 0));
}

/// Each is a fork of the one before; those that would share too many threads copy.
#[tokio::test]
async fn forks_of_forks_load_however_many() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    grow(&mut Owner::claim(&store, "fork-0").await, 1).await;
    for number in 1..40 {
        fork(&store, &format!("fork-{}", number - 1), &format!("fork-{number}")).await;
        grow(&mut Owner::claim(&store, &format!("fork-{number}")).await, 1).await;
    }
    for number in 0..40 {
        assert_eq!(parts(&store, &format!("fork-{number}")).await, number + 1);
    }
}

#[tokio::test]
async fn a_fork_whose_source_lost_a_row_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    grow(&mut Owner::claim(&store, "alice").await, 3).await;
    fork(&store, "alice", "bob").await;
    let path = folder.path().join("checkpoints.db");
    let mut file = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    file.execute("DELETE FROM checkpoints WHERE version = 2").await.unwrap();
    let error = store.load(LoadRequest::tip(thread("bob"))).await.unwrap_err();
    assert_eq!(error.kind(), agentscale_core::ErrorKind::Corrupt);
}

/// The sender has no thread yet; it gets a number that no other thread may take.
#[tokio::test]
async fn a_redriven_letter_takes_no_other_threads_number() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    Owner::claim(&store, "alice").await.write("[1]").await.unwrap();
    let message = OutboxMessage { id: MessageId::new(1), message: "m".into() };
    store.bury(DeadLetter::new(thread("sender"), message.clone(), 1, "it panicked")).await.unwrap();
    store.redrive(vec![message.id]).await.unwrap();
    let mut bob = Owner::claim(&store, "bob").await;
    bob.write("[2]").await.unwrap();
    Owner::claim(&store, "sender").await.write("[3]").await.unwrap();
    assert_eq!(bob.write("[4]").await.unwrap(), Version(2));
    assert_eq!((parts(&store, "bob").await, parts(&store, "sender").await), (2, 1));
    let pending = store.pending_outbox(None, 9).await.unwrap();
    assert_eq!(pending.entries[0].from, thread("sender"));
}

/// A file as the version before left it, rows and all.
#[tokio::test]
async fn a_file_of_the_first_schema_opens_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    std::fs::write(&path, []).unwrap();
    let mut file = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    file.execute(include_str!("../../migrations/0001_checkpoints.sql")).await.unwrap();
    for statement in [
        "PRAGMA application_id = 0x41534350",
        "PRAGMA user_version = 1",
        "INSERT INTO threads VALUES (1, 'acme', 'note', 'alice', 0, 3, 0)",
        "INSERT INTO checkpoints VALUES (1, 1, 1, x'00000000000000000000000000000001', 0, 3, 'json', 1, 0, 0, 9, \
         1, 16, 16, 0, NULL, NULL, x'010200056e6f746573000000035b315d')",
    ] {
        file.execute(statement).await.unwrap();
    }
    file.close().await.unwrap();
    let store = open(folder.path()).await;
    assert_eq!(parts(&store, "alice").await, 1);
    fork(&store, "alice", "bob").await;
    Owner::claim(&store, "alice").await.write("[2]").await.unwrap();
    assert_eq!((parts(&store, "alice").await, parts(&store, "bob").await), (2, 1));
}
