//! Epochs: who may write.

use std::sync::Arc;

use super::CheckpointStoreHarness;
use super::scene::{Owner, agent, append, claim, replace, step, store};
use crate::ErrorKind;
use crate::checkpoint::Version;

/// Each claim takes a higher epoch than all before it.
pub async fn each_claim_takes_a_higher_epoch(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let first = claim(&store, &agent("a")).await;
    assert!(first.tip.is_none());
    assert_eq!(first.version(), Version(0));
    let second = claim(&store, &agent("a")).await;
    let third = claim(&store, &agent("a")).await;
    assert!(first.epoch < second.epoch && second.epoch < third.epoch);
}

/// A claim gives the tip with its state.
pub async fn a_claim_gives_the_tip(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    owner.write(vec![replace("plan", "1")]).await;
    owner.write(vec![append("notes", "[2]")]).await;
    let claimed = claim(&store, &agent("a")).await;
    assert_eq!(claimed.version(), Version(2));
    assert_eq!(claimed.tip, owner.tip().await);
}

/// A deleted thread keeps its epoch: a claim goes on above it, and its tip is gone.
pub async fn a_deleted_thread_keeps_its_epoch(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    owner.write(vec![replace("plan", "1")]).await;
    owner.delete().await.expect("the owner deletes");
    let claimed = claim(&store, &agent("a")).await;
    assert!(claimed.epoch > owner.epoch);
    assert!(claimed.tip.is_none());
}

/// An older owner is refused whatever it writes, and changes nothing.
pub async fn an_older_owner_is_fenced(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut old = Owner::claim(&store, agent("a")).await;
    old.write(vec![replace("plan", "old")]).await;
    let new = Owner::claim(&store, agent("a")).await;
    let before = new.tip().await;
    let refused = old.store.commit(old.next(vec![replace("plan", "late")])).await;
    assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Fenced);
    let refused = old.journal("t", vec![step(0, 1, "late")]).await;
    assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Fenced);
    assert_eq!(old.delete().await.expect_err("it is refused").kind(), ErrorKind::Fenced);
    assert_eq!(new.tip().await, before);
    assert!(claim(&store, &agent("a")).await.steps.is_empty());
}

/// An older owner stays fenced after its thread was deleted by the newer one.
pub async fn an_older_owner_is_fenced_after_delete(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let old = Owner::claim(&store, agent("a")).await;
    let new = Owner::claim(&store, agent("a")).await;
    new.delete().await.expect("the owner deletes");
    let refused = store.commit(old.next(vec![replace("plan", "late")])).await;
    assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Fenced);
    assert!(new.tip().await.is_none());
}

/// Who never claimed may not write.
pub async fn an_epoch_that_was_never_claimed_is_fenced(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    owner.thread = agent("b");
    let refused = store.commit(owner.next(vec![])).await;
    assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Fenced);
}

/// Of many that claim and commit at once, exactly one commits as the last owner.
pub async fn of_concurrent_claimants_exactly_one_commits(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let claimants: Vec<_> = (0..16)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { Owner::claim(&store, agent("a")).await })
        })
        .collect();
    let mut owners = Vec::new();
    for claimant in claimants {
        owners.push(claimant.await.expect("the claimant ends"));
    }
    let commits: Vec<_> = owners
        .iter()
        .map(|owner| {
            let (store, commit) = (Arc::clone(&store), owner.next(vec![replace("plan", "mine")]));
            tokio::spawn(async move { (commit.epoch, store.commit(commit).await) })
        })
        .collect();
    let newest = owners.iter().map(|owner| owner.epoch).max().expect("there are owners");
    for commit in commits {
        let (epoch, committed) = commit.await.expect("the commit ends");
        if epoch == newest {
            assert_eq!(committed.expect("the last owner commits").version, Version(1));
        } else {
            assert_eq!(committed.expect_err("it is refused").kind(), ErrorKind::Fenced);
        }
    }
}
