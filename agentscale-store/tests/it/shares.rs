//! What a thread that grows hands to the database, and what its forks share with it.

pub(crate) mod scenes;

use std::path::Path;

use agentscale_core::checkpoint::{DeadLetter, OutboxMessage, Version};
use agentscale_core::{CheckpointStore, MessageId};
use agentscale_store::{SqliteCheckpointConfig, SqliteCheckpointStore};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::scene::{Owner, open_with, thread};
use scenes::{fork, parts};

async fn open(folder: &Path) -> SqliteCheckpointStore {
    open_with(&folder.join("checkpoints.db"), SqliteCheckpointConfig::default()).await
}

async fn connect(folder: &Path) -> SqliteConnection {
    let path = folder.join("checkpoints.db");
    SqliteConnection::connect(path.to_str().expect("a path")).await.expect("the file is read")
}

/// The rows of checkpoints, and those that say what forks share.
pub(crate) async fn rows(folder: &Path) -> (i64, i64) {
    sqlx::query_as("SELECT (SELECT count(*) FROM checkpoints), (SELECT count(*) FROM shares)")
        .fetch_one(&mut connect(folder).await)
        .await
        .expect("the file is read")
}

#[tokio::test]
async fn a_thread_that_grows_hands_two_and_a_half_times_its_state_to_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    scenes::a_thread_that_grows(&store, || store.stats().payload_bytes).await;
}

#[tokio::test]
async fn a_fork_hands_nothing_of_the_state_to_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    scenes::a_fork_goes_on(&store, || store.stats().payload_bytes).await;
}

#[tokio::test]
async fn a_fork_outlives_its_source_however_that_goes() {
    let folder = tempfile::tempdir().unwrap();
    scenes::a_fork_outlives_its_source(&open(folder.path()).await).await;
}

#[tokio::test]
async fn what_nobody_shares_any_more_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    scenes::nobody_shares_any_more(&store, async || rows(folder.path()).await).await;
}

#[tokio::test]
async fn a_pruned_source_lets_go_what_its_forks_leave() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    scenes::a_pruned_source(&store, async || rows(folder.path()).await).await;
}

#[tokio::test]
async fn a_fork_with_a_state_of_its_own_lets_its_source_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    scenes::a_fork_that_lets_go(&store, async || rows(folder.path()).await).await;
}

#[tokio::test]
async fn forks_of_forks_load_however_many() {
    let folder = tempfile::tempdir().unwrap();
    scenes::forks_of_forks(&open(folder.path()).await).await;
}

#[tokio::test]
async fn a_fork_whose_source_lost_a_row_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let remove = async || {
        let mut file = connect(folder.path()).await;
        file.execute("DELETE FROM checkpoints WHERE version = 2").await.unwrap();
    };
    scenes::a_source_that_lost_a_row(&open(folder.path()).await, remove).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forks_load_whatever_is_removed_of_their_source_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    scenes::forks_beside_removals(&open(folder.path()).await).await;
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
    let mut file = connect(folder.path()).await;
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
