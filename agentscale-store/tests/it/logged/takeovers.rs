//! Another node takes a thread over while some of its commits are in the log alone.

use std::time::Duration;

use agentscale_core::checkpoint::{Durability, FieldWrite};
use agentscale_core::testkit::StoreFault;
use agentscale_core::{CheckpointStore, ErrorKind};
use agentscale_store::{LoggedCheckpointConfig, LoggedCheckpointStore};

use super::scene::{Agent, Scene, Still, lease, notes, pass, settle, with_time};
use crate::scene::thread;

#[tokio::test(start_paused = true)]
async fn what_a_takeover_overtook_is_orphaned_and_reported_and_the_new_owners_state_stands() {
    let _still = Still::new();
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut old = Agent::claim(&store, "alice").await;
    old.write(&store, "[1]").await.unwrap();
    with_time(old.barrier(&store)).await.unwrap();

    scene.fail_commits(3);
    for note in ["[2]", "[3]", "[4]"] {
        assert_eq!(old.write(&store, note).await.unwrap(), Durability::Local);
    }
    let mut new = Agent::claim(&scene.within, "alice").await;
    assert_eq!(new.version.0, 1);
    new.write(&scene.within, "[new]").await.unwrap();

    // It would have waited for the other node to find it.
    assert_eq!(with_time(old.barrier(&store)).await.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(scene.notes("alice").await, notes(&["[1]", "[new]"]));
    let orphans = store.orphans().await.unwrap();
    assert_eq!(orphans.len(), 1);
    let tail = &orphans[0];
    assert_eq!((tail.thread.clone(), tail.epoch, tail.commits), (thread("alice"), old.epoch, 3));
    assert_eq!((tail.first.0, tail.last.0), (2, 4));
    let stats = store.stats();
    assert_eq!((stats.acknowledged, stats.flushed, stats.orphaned, stats.waiting), (4, 1, 3, 0));

    let left = store.orphaned_commits(&tail.thread, tail.epoch).await.unwrap();
    let said: Vec<_> = left.iter().flat_map(|commit| commit.fields.clone()).collect();
    let expected =
        ["[2]", "[3]", "[4]"].map(|note| FieldWrite::Append { name: "notes".into(), items: note.into() });
    assert_eq!(said, expected);
    store.forget_orphans(&tail.thread, tail.epoch).await.unwrap();
    assert!(store.orphans().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_owner_whose_tail_was_orphaned_is_fenced_until_it_claims_again() {
    let _still = Still::new();
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut old = Agent::claim(&store, "alice").await;
    scene.fail_commits(1);
    old.write(&store, "[1]").await.unwrap();
    let mut new = Agent::claim(&scene.within, "alice").await;
    new.write(&scene.within, "[new]").await.unwrap();
    with_time(store.flush()).await.unwrap();

    assert_eq!(old.write(&store, "[late]").await.unwrap_err().kind(), ErrorKind::Fenced);
    let mut again = Agent::claim(&store, "alice").await;
    assert_eq!(again.version, new.version);
    assert_eq!(again.write(&store, "[again]").await.unwrap(), Durability::Local);
    with_time(again.barrier(&store)).await.unwrap();
    assert_eq!(scene.notes("alice").await, notes(&["[new]", "[again]"]));
    // What was said of the owner before is still true, though its thread was claimed again.
    assert_eq!(old.barrier(&store).await.unwrap_err().kind(), ErrorKind::Fenced);
    assert_eq!(new.write(&scene.within, "[late]").await.unwrap_err().kind(), ErrorKind::Fenced);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_got_there_and_lost_its_answer_is_no_orphan_after_a_takeover() {
    let _still = Still::new();
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut old = Agent::claim(&store, "alice").await;
    scene.meet(StoreFault::LoseAnswer);
    // The tries that follow wait until the thread is taken over.
    scene.fail_commits(2);
    old.write(&store, "[1]").await.unwrap();
    settle().await;
    assert!(scene.tip("alice").await.is_some());
    let mut new = Agent::claim(&scene.within, "alice").await;
    new.write(&scene.within, "[new]").await.unwrap();
    with_time(old.barrier(&store)).await.unwrap();
    assert!(store.orphans().await.unwrap().is_empty());
    assert_eq!(scene.notes("alice").await, notes(&["[1]", "[new]"]));
}

#[tokio::test]
async fn without_its_lease_commits_go_to_the_shared_store() {
    let mut scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    assert_eq!(agent.write(&store, "[1]").await.unwrap(), Durability::Local);

    let lost = std::mem::replace(&mut scene.lease, lease(Duration::from_secs(60)).await);
    lost.close().await.unwrap();
    assert_eq!(agent.write(&store, "[2]").await.unwrap(), Durability::Process);
    assert_eq!(scene.notes("alice").await, notes(&["[1]", "[2]"]));

    store.renew_lease(scene.lease.watch()).unwrap();
    assert_eq!(agent.write(&store, "[3]").await.unwrap(), Durability::Local);
}

#[tokio::test(start_paused = true)]
async fn with_less_of_its_lease_left_than_a_flush_may_take_commits_go_to_the_shared_store() {
    let _still = Still::new();
    let scene = Scene::new().await;
    let mut config = LoggedCheckpointConfig::default();
    // Of 60 s a tenth is kept back, and a third passes before each renewal.
    config.flush_bound = Duration::from_secs(50);
    let store = scene.open_with(config).await;
    let mut agent = Agent::claim(&store, "alice").await;
    let mut seen = Vec::new();
    for _ in 0..20 {
        let remaining = scene.lease.watch().remaining();
        let level = agent.write(&store, "[1]").await.unwrap();
        if remaining > Duration::from_secs(52) {
            assert_eq!(level, Durability::Local, "{remaining:?}");
        } else if remaining < Duration::from_secs(50) {
            assert_eq!(level, Durability::Process, "{remaining:?}");
        }
        seen.push(level);
        pass(Duration::from_secs(3)).await;
    }
    assert!(seen.contains(&Durability::Local) && seen.contains(&Durability::Process), "{seen:?}");
}

#[tokio::test]
async fn a_lease_that_is_not_longer_than_the_flush_bound_is_refused() {
    let scene = Scene::new().await;
    let short = lease(Duration::from_secs(10)).await;
    let config = LoggedCheckpointConfig::default();
    let opened = LoggedCheckpointStore::open(scene.within.clone(), scene.path(), short.watch(), config).await;
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput);
    let store = scene.open().await;
    assert_eq!(store.renew_lease(short.watch()).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(store.capabilities(), scene.within.capabilities());
}
