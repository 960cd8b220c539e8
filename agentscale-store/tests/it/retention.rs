//! What is forgotten unasked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::{HistoryRequest, PruneRequest, RecordedOutcome, RetentionPolicy};
use agentscale_core::time::{ManualClock, SystemClock};
use agentscale_core::{CheckpointStore, Clock, IdempotencyKey};
use agentscale_store::{InMemoryCheckpointStore, SqliteCheckpointConfig, SqliteCheckpointStore};
use sqlx::{Connection, SqliteConnection};

use crate::scene::{Owner, thread};

const YEAR: Duration = Duration::from_secs(366 * 24 * 3_600);

#[tokio::test]
async fn memory_prunes_a_growing_thread_unasked_and_keeps_all_where_told_to() {
    assert_eq!(versions_after(InMemoryCheckpointStore::new(), 63).await, 63);
    assert_eq!(versions_after(InMemoryCheckpointStore::new(), 64).await, 20);
    assert_eq!(versions_after(InMemoryCheckpointStore::new().with_retention(None), 64).await, 64);
}

async fn versions_after(store: InMemoryCheckpointStore, commits: u64) -> usize {
    grow(&store, "alice", commits).await;
    versions(&store, "alice").await
}

#[tokio::test]
async fn sqlite_prunes_growing_threads_unasked_wherever_it_was_restarted_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    let keys = ["alice", "bob", "carol"];
    let store = open(&path, Arc::new(SystemClock::new())).await;
    for key in keys {
        grow(&store, key, 63).await;
    }
    assert_eq!(versions(&store, "alice").await, 63);
    drop(store);

    let store = open(&path, Arc::new(SystemClock::new())).await;
    for key in keys {
        grow(&store, key, 1).await;
    }
    for key in keys {
        eventually(async || versions(&store, key).await == 20).await;
    }
}

#[tokio::test]
async fn outcomes_of_threads_that_do_not_grow_are_forgotten_when_their_retention_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    let clock = ManualClock::new();
    let store = open(&path, Arc::new(clock.clone())).await;
    record(&store, "alice").await;
    assert_eq!(outcomes_in(&path).await, 1);
    clock.advance(YEAR);
    drop(store);
    let store = open(&path, Arc::new(clock.clone())).await;
    eventually(async || outcomes_in(&path).await == 0).await;
    drop(store);

    let clock = ManualClock::new();
    let memory = InMemoryCheckpointStore::new().with_clock(Arc::new(clock.clone()));
    record(&memory, "alice").await;
    clock.advance(YEAR);
    record(&memory, "bob").await;
    // What a pruning still finds is what was not forgotten unasked.
    let pruned = memory.prune(PruneRequest::all(RetentionPolicy::default())).await.unwrap();
    assert_eq!(pruned.outcomes, 0);
}

/// With retention as hosts have it.
async fn open(path: &Path, clock: Arc<dyn Clock>) -> SqliteCheckpointStore {
    SqliteCheckpointStore::open_with(path, SqliteCheckpointConfig::default(), clock).await.expect("it opens")
}

async fn grow(store: &(impl CheckpointStore + Clone), key: &str, commits: u64) {
    let mut owner = Owner::claim(store, key).await;
    for _ in 0..commits {
        owner.write("1").await.expect("the owner commits");
    }
}

async fn record(store: &(impl CheckpointStore + Clone), key: &str) {
    let mut owner = Owner::claim(store, key).await;
    let mut commit = owner.commit(Vec::new());
    let key = IdempotencyKey::new("once").expect("a key");
    commit.outcome = Some(RecordedOutcome::new(key, [7; 32], None));
    owner.send(commit).await.expect("the owner commits");
}

async fn versions(store: &impl CheckpointStore, key: &str) -> usize {
    store.history(HistoryRequest::new(thread(key), 1_000)).await.expect("the history is read").len()
}

async fn outcomes_in(path: &Path) -> i64 {
    let path = path.to_str().expect("a path in UTF-8");
    let mut file = SqliteConnection::connect(path).await.expect("the file opens");
    sqlx::query_scalar("SELECT count(*) FROM outcomes")
        .fetch_one(&mut file)
        .await
        .expect("outcomes are counted")
}

/// For what a task of the store does in its own time.
async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asked).await.expect("it comes to hold");
}
