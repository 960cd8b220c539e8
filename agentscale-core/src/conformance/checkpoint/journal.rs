//! Journaled steps of turns.

use super::CheckpointStoreHarness;
use super::scene::{Owner, agent, claim, step, store, turn};
use crate::ErrorKind;

/// A claim gives the steps of turns that have not committed, by turn and index.
pub async fn a_claim_gives_the_journal(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let owner = Owner::claim(&store, agent("a")).await;
    owner.journal("t2", vec![step(0, 1, "x")]).await.expect("the owner journals");
    owner.journal("t1", vec![step(1, 2, "b"), step(0, 1, "a")]).await.expect("the owner journals");
    owner.journal("t1", vec![step(10, 3, "c")]).await.expect("the owner journals");
    let steps = claim(&store, &agent("a")).await.steps;
    assert_eq!(
        steps,
        [
            (turn("t1"), vec![step(0, 1, "a"), step(1, 2, "b"), step(10, 3, "c")]),
            (turn("t2"), vec![step(0, 1, "x")]),
        ]
    );
    assert!(claim(&store, &agent("b")).await.steps.is_empty());
}

/// The journal of a turn ends with its commit; those of other turns stay.
pub async fn a_journal_ends_with_its_commit(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    owner.journal("t1", vec![step(0, 1, "a")]).await.expect("the owner journals");
    owner.journal("t2", vec![step(0, 1, "b")]).await.expect("the owner journals");
    let mut commit = owner.next(vec![]);
    commit.turn = Some(turn("t1"));
    owner.send(commit).await.expect("the owner commits");
    assert_eq!(claim(&store, &agent("a")).await.steps, [(turn("t2"), vec![step(0, 1, "b")])]);
}

/// A repeated step changes nothing: the first result stays.
pub async fn a_repeated_step_changes_nothing(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let owner = Owner::claim(&store, agent("a")).await;
    owner.journal("t", vec![step(0, 1, "first")]).await.expect("the owner journals");
    owner.journal("t", vec![step(0, 1, "again"), step(1, 1, "next")]).await.expect("it is repeated");
    let steps = claim(&store, &agent("a")).await.steps;
    assert_eq!(steps, [(turn("t"), vec![step(0, 1, "first"), step(1, 1, "next")])]);
}

/// A recorded index with another request is a conflict, and none of the steps is written.
pub async fn a_step_of_another_request_is_a_conflict(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let owner = Owner::claim(&store, agent("a")).await;
    owner.journal("t", vec![step(0, 1, "first")]).await.expect("the owner journals");
    let refused = owner.journal("t", vec![step(1, 1, "new"), step(0, 2, "other")]).await;
    assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Conflict);
    assert_eq!(claim(&store, &agent("a")).await.steps, [(turn("t"), vec![step(0, 1, "first")])]);
}
