//! Recorded results of requests.

use std::time::Duration;

use super::CheckpointStoreHarness;
use super::scene::{Owner, agent, key, outcome, replace, store};
use crate::ErrorKind;
use crate::checkpoint::Version;

/// The outcome of a commit is found by its key, in its thread alone.
pub async fn an_outcome_is_recorded_with_its_commit(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let mut commit = owner.next(vec![]);
    commit.outcome = Some(outcome("k", 1, "done"));
    owner.send(commit).await.expect("the owner commits");
    let recorded = store.outcome(&agent("a"), &key("k")).await.expect("it is read");
    assert_eq!(recorded, Some(outcome("k", 1, "done")));
    assert_eq!(store.outcome(&agent("a"), &key("other")).await.expect("it is read"), None);
    assert_eq!(store.outcome(&agent("b"), &key("k")).await.expect("it is read"), None);
}

/// An outcome without a reply is recorded as well.
pub async fn an_outcome_may_have_no_reply(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let mut recorded = outcome("k", 1, "");
    recorded.reply = None;
    let mut commit = owner.next(vec![]);
    commit.outcome = Some(recorded.clone());
    owner.send(commit).await.expect("the owner commits");
    assert_eq!(store.outcome(&agent("a"), &key("k")).await.expect("it is read"), Some(recorded));
}

/// The same key with another request is a conflict, and nothing of that commit is written.
pub async fn a_key_of_another_request_is_a_conflict(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let mut commit = owner.next(vec![]);
    commit.outcome = Some(outcome("k", 1, "done"));
    owner.send(commit).await.expect("the owner commits");
    let mut commit = owner.next(vec![replace("plan", "other")]);
    commit.outcome = Some(outcome("k", 2, "other"));
    assert_eq!(owner.send(commit).await.expect_err("it is refused").kind(), ErrorKind::Conflict);
    assert_eq!(owner.tip().await.expect("there is a tip").info.version, Version(1));
    assert_eq!(
        store.outcome(&agent("a"), &key("k")).await.expect("it is read"),
        Some(outcome("k", 1, "done"))
    );
}

/// After its retention a record is absent, and its key is free.
pub async fn an_outcome_ends_with_its_retention(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let mut commit = owner.next(vec![]);
    let mut short = outcome("k", 1, "done");
    short.retention = Duration::from_millis(1);
    commit.outcome = Some(short);
    owner.send(commit).await.expect("the owner commits");
    harness.pass(Duration::from_millis(5)).await;
    assert_eq!(store.outcome(&agent("a"), &key("k")).await.expect("it is read"), None);
    let mut commit = owner.next(vec![]);
    commit.outcome = Some(outcome("k", 2, "other"));
    owner.send(commit).await.expect("the key is free");
    assert_eq!(
        store.outcome(&agent("a"), &key("k")).await.expect("it is read"),
        Some(outcome("k", 2, "other"))
    );
}
