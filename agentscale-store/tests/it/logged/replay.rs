//! What an earlier process left in the log.

use std::fs;
use std::path::Path;

use agentscale_core::checkpoint::{
    AppendSteps, Durability, FieldWrite, LoadRequest, OutboxMessage, RecordedOutcome, StateHeader, Step,
    TurnId,
};
use agentscale_core::{CheckpointStore, ErrorKind, IdempotencyKey, MessageId, Stamp};
use agentscale_store::{LoggedCheckpointConfig, LoggedCheckpointStore};
use sqlx::{Connection, Executor, SqliteConnection};

use super::scene::{Agent, Scene, notes};
use crate::scene::thread;

#[tokio::test]
async fn what_was_not_flushed_is_at_the_next_start_before_its_thread_is_claimed() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    agent.write(&store, "[1]").await.unwrap();
    agent.barrier(&store).await.unwrap();
    scene.fail_commits(1);
    for note in ["[2]", "[3]"] {
        agent.write(&store, note).await.unwrap();
    }
    store.close().await.unwrap();
    assert_eq!(store.commit(agent.next("[late]")).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(agent.barrier(&store).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(
        store.load(LoadRequest::tip(thread("alice"))).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(scene.notes("alice").await, notes(&["[1]"]));
    drop(store);

    scene.fail_commits(2);
    let store = scene.open().await;
    let agent = Agent::claim(&store, "alice").await;
    assert_eq!(agent.version.0, 3);
    assert_eq!(scene.notes("alice").await, notes(&["[1]", "[2]", "[3]"]));
    assert_eq!((store.stats().flushed, store.stats().orphaned), (2, 0));
}

#[tokio::test]
async fn a_replayed_commit_is_all_that_it_was() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    let turn = TurnId("t".into());
    let step = Step { index: 0, request_hash: [7; 32], result: "s".into() };
    store
        .append_steps(AppendSteps::new(thread("alice"), agent.epoch, turn.clone(), vec![step]))
        .await
        .unwrap();
    scene.fail_commits(1);
    let mut commit = agent.next("[1]");
    commit.header = StateHeader { codec: "odd".to_owned().into(), schema_version: 9 };
    commit.fields.push(FieldWrite::Replace { name: "plan".into(), value: "\0\u{ff}".into() });
    commit.fields.push(FieldWrite::Remove { name: "gone".into() });
    commit.outbox.push(OutboxMessage { id: MessageId::new(1), message: "hello".into() });
    commit.outbox.push(OutboxMessage { id: MessageId::new(2), message: "".into() });
    let key = IdempotencyKey::new("k").unwrap();
    commit.outcome = Some(RecordedOutcome::new(key.clone(), [3; 32], Some("reply".into())));
    commit.tags.push("kept".into());
    commit.turn = Some(turn);
    commit.stamp = Stamp::from_parts(u64::MAX - 3, 5);
    assert_eq!(agent.send(&store, commit.clone()).await.unwrap().level, Durability::Local);
    store.close().await.unwrap();
    drop(store);

    let store = scene.open().await;
    store.flush().await.unwrap();
    let tip = scene.tip("alice").await.unwrap();
    assert_eq!((tip.info.id, tip.info.epoch, tip.info.header), (commit.id, commit.epoch, commit.header));
    assert_eq!((tip.info.tags, tip.info.stamp), (commit.tags, commit.stamp));
    assert_eq!((tip.fields.len(), tip.fields[1].value.clone()), (2, Some("\0\u{ff}".into())));
    let sent: Vec<_> =
        store.pending_outbox(None, 9).await.unwrap().entries.into_iter().map(|entry| entry.message).collect();
    assert_eq!(sent, commit.outbox);
    assert_eq!(store.outcome(&thread("alice"), &key).await.unwrap(), commit.outcome);
    let claim = store.claim(agentscale_core::checkpoint::ClaimRequest::new(thread("alice"))).await.unwrap();
    assert!(claim.steps.is_empty());
}

#[tokio::test]
async fn a_log_that_is_replayed_twice_changes_nothing_the_second_time() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    scene.fail_commits(1);
    for note in ["[1]", "[2]", "[3]"] {
        agent.write(&store, note).await.unwrap();
    }
    store.close().await.unwrap();
    drop(store);
    let copy = scene.path().with_extension("copy");
    fs::copy(scene.path(), &copy).unwrap();

    let replay = async |again: bool| {
        if again {
            fs::copy(&copy, scene.path()).unwrap();
        }
        let store = scene.open().await;
        store.flush().await.unwrap();
        assert_eq!((store.stats().flushed, store.stats().orphaned), (3, 0));
        assert_eq!(scene.notes("alice").await, notes(&["[1]", "[2]", "[3]"]));
        store.close().await.unwrap();
    };
    replay(false).await;
    replay(true).await;
    // Nor after the owner went on.
    agent.write(&scene.within, "[4]").await.unwrap();
    fs::copy(&copy, scene.path()).unwrap();
    let store = scene.open().await;
    store.flush().await.unwrap();
    assert_eq!((store.stats().flushed, store.stats().orphaned), (3, 0));
    assert_eq!(scene.notes("alice").await, notes(&["[1]", "[2]", "[3]", "[4]"]));
}

#[tokio::test]
async fn what_was_overtaken_while_its_process_was_down_is_orphaned_at_its_start() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    scene.fail_commits(1);
    agent.write(&store, "[1]").await.unwrap();
    agent.write(&store, "[2]").await.unwrap();
    store.close().await.unwrap();
    drop(store);
    let mut new = Agent::claim(&scene.within, "alice").await;
    new.write(&scene.within, "[new]").await.unwrap();

    for _ in 0..2 {
        let store = scene.open().await;
        store.flush().await.unwrap();
        let orphans = store.orphans().await.unwrap();
        assert_eq!((orphans.len(), orphans[0].commits, orphans[0].first.0), (1, 2, 1));
        assert_eq!(scene.notes("alice").await, notes(&["[new]"]));
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn what_an_overtaken_owner_left_in_the_log_takes_no_commit_of_a_later_owner_with_it() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut old = Agent::claim(&store, "alice").await;
    scene.fail_commits(1);
    old.write(&store, "[old]").await.unwrap();
    Agent::claim(&scene.within, "alice").await.write(&scene.within, "[new]").await.unwrap();
    let mut again = Agent::claim(&store, "alice").await;
    scene.fail_commits(1);
    assert_eq!(again.write(&store, "[again]").await.unwrap(), Durability::Local);
    store.close().await.unwrap();
    drop(store);
    // As after a crash before it was marked.
    meddle(&scene.path(), "UPDATE entries SET orphaned = 0").await;

    let store = scene.open().await;
    store.flush().await.unwrap();
    assert_eq!((store.stats().flushed, store.stats().orphaned), (1, 1));
    assert_eq!(scene.notes("alice").await, notes(&["[new]", "[again]"]));
    let orphans = store.orphans().await.unwrap();
    assert_eq!((orphans.len(), orphans[0].epoch, orphans[0].commits), (1, old.epoch, 1));
}

#[tokio::test]
async fn more_orphans_than_are_to_be_kept_go_oldest_first() {
    let scene = Scene::new().await;
    let mut config = LoggedCheckpointConfig::default();
    config.orphans = 3;
    let store = scene.open_with(config).await;
    for key in ["alice", "bob"] {
        let mut agent = Agent::claim(&store, key).await;
        scene.fail_commits(1);
        agent.write(&store, "[1]").await.unwrap();
        agent.write(&store, "[2]").await.unwrap();
        Agent::claim(&scene.within, key).await.write(&scene.within, "[new]").await.unwrap();
        store.flush().await.unwrap();
    }
    let orphans: Vec<_> = store.orphans().await.unwrap();
    let told: Vec<_> = orphans.iter().map(|tail| (tail.thread.clone(), tail.first.0, tail.commits)).collect();
    assert_eq!(told, [(thread("alice"), 2, 1), (thread("bob"), 1, 2)]);
    assert_eq!(store.stats().orphaned, 4);
}

#[tokio::test]
async fn a_log_has_one_store_at_a_time() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    let open = || {
        let (watch, config) = (scene.lease.watch(), LoggedCheckpointConfig::default());
        LoggedCheckpointStore::open(scene.within.clone(), scene.path(), watch, config)
    };
    assert_eq!(open().await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    store.close().await.unwrap();
    open().await.unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_understood_is_corrupt_and_left_alone() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    scene.fail_commits(1);
    Agent::claim(&store, "alice").await.write(&store, "[1]").await.unwrap();
    store.close().await.unwrap();
    drop(store);
    for change in ["rest = '{}'", "delta = x'09'", "payload = x'00'", "tenant = ''"] {
        meddle(&scene.path(), "CREATE TABLE kept AS SELECT * FROM entries").await;
        meddle(&scene.path(), &format!("UPDATE entries SET {change}")).await;
        let (watch, config) = (scene.lease.watch(), LoggedCheckpointConfig::default());
        let opened = LoggedCheckpointStore::open(scene.within.clone(), scene.path(), watch, config).await;
        assert_eq!(opened.unwrap_err().kind(), ErrorKind::Corrupt, "{change}");
        meddle(&scene.path(), "DELETE FROM entries; INSERT INTO entries SELECT * FROM kept; DROP TABLE kept")
            .await;
    }
    let store = scene.open().await;
    store.flush().await.unwrap();
    assert_eq!(scene.notes("alice").await, notes(&["[1]"]));
}

async fn meddle(path: &Path, statements: &str) {
    let mut connection =
        SqliteConnection::connect(path.to_str().expect("a plain path")).await.expect("it opens");
    connection.execute(sqlx::AssertSqlSafe(statements.to_owned())).await.expect("SQLite does it");
    connection.close().await.expect("SQLite does it");
}
