//! Pruning.

use std::time::Duration;

use super::CheckpointStoreHarness;
use super::scene::{Owner, agent, append, outcome, replace, store};
use crate::checkpoint::{HistoryRequest, PruneRequest, RetentionPolicy};

/// The newest checkpoints stay, and each of them loads as before.
pub async fn the_newest_checkpoints_stay(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = long_line(Owner::claim(&store, agent("a")).await, 30, &[]).await;
    let before = [owner.at(28).await, owner.at(29).await, owner.at(30).await];
    let pruned = prune(&owner, policy(3, None)).await;
    assert_eq!(pruned, 27);
    assert_eq!(versions(&owner).await, [30, 29, 28]);
    assert_eq!([owner.at(28).await, owner.at(29).await, owner.at(30).await], before);
    assert!(owner.at(27).await.is_none());
    owner.write(vec![append("notes", "[more]")]).await;
    assert_eq!(owner.tip().await.expect("there is a tip").fields[0].appended.len(), 31);
    assert_eq!(prune(&owner, policy(3, None)).await, 1);
    assert_eq!(prune(&owner, policy(3, None)).await, 0);
}

/// The tip stays whatever the policy.
pub async fn the_tip_stays(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let owner = long_line(Owner::claim(&store, agent("a")).await, 5, &[]).await;
    let before = owner.tip().await;
    harness.pass(Duration::from_millis(5)).await;
    assert_eq!(prune(&owner, policy(0, Some(Duration::ZERO))).await, 4);
    assert_eq!(owner.tip().await, before);
}

/// Tagged checkpoints stay while the policy says so.
pub async fn tagged_checkpoints_stay(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let owner = long_line(Owner::claim(&store, agent("a")).await, 12, &[4, 7]).await;
    let before = [owner.at(4).await, owner.at(7).await, owner.at(12).await];
    prune(&owner, policy(1, None)).await;
    assert_eq!(versions(&owner).await, [12, 7, 4]);
    assert_eq!([owner.at(4).await, owner.at(7).await, owner.at(12).await], before);
    let mut untagged = policy(1, None);
    untagged.keep_tagged = false;
    assert_eq!(prune(&owner, untagged).await, 2);
    assert_eq!(versions(&owner).await, [12]);
    assert_eq!(owner.tip().await, before[2]);
}

/// Checkpoints older than the policy allows go, even among the newest.
pub async fn old_checkpoints_go(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = long_line(Owner::claim(&store, agent("a")).await, 3, &[]).await;
    assert_eq!(prune(&owner, policy(10, Some(Duration::from_secs(3_600)))).await, 0);
    harness.pass(Duration::from_millis(50)).await;
    owner.write(vec![append("notes", "[young]")]).await;
    assert_eq!(prune(&owner, policy(10, Some(Duration::from_millis(25)))).await, 3);
    assert_eq!(versions(&owner).await, [4]);
}

/// A call removes no more than its limit and says that there is more.
pub async fn pruning_keeps_to_its_limit(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let owner = long_line(Owner::claim(&store, agent("a")).await, 10, &[]).await;
    let mut request = PruneRequest::thread(agent("a"), policy(1, None));
    request.limit = 4;
    let mut removed = Vec::new();
    loop {
        let pruned = store.prune(request.clone()).await.expect("it is pruned");
        removed.push(pruned.checkpoints);
        if !pruned.more {
            break;
        }
    }
    assert_eq!(removed, [4, 4, 1]);
    assert_eq!(versions(&owner).await, [10]);
}

/// Without a thread, all are pruned, and outcomes whose retention has ended.
pub async fn all_threads_are_pruned(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let a = long_line(Owner::claim(&store, agent("a")).await, 3, &[]).await;
    let mut b = long_line(Owner::claim(&store, agent("b")).await, 4, &[]).await;
    let mut commit = b.next(vec![]);
    let mut short = outcome("k", 1, "done");
    short.retention = Duration::from_millis(1);
    commit.outcome = Some(short);
    b.send(commit).await.expect("the owner commits");
    harness.pass(Duration::from_millis(5)).await;
    let pruned = store.prune(PruneRequest::all(policy(1, None))).await.expect("they are pruned");
    assert_eq!((pruned.checkpoints, pruned.outcomes, pruned.more), (6, 1, false));
    assert_eq!((versions(&a).await, versions(&b).await), (vec![3], vec![5]));
}

fn policy(keep_last: u32, max_age: Option<Duration>) -> RetentionPolicy {
    RetentionPolicy { keep_last, max_age, keep_tagged: true }
}

async fn long_line(mut owner: Owner, length: u64, tagged: &[u64]) -> Owner {
    for version in 1..=length {
        let mut commit = owner.next(vec![append("notes", format!("[{version}]"))]);
        if version % 3 == 1 {
            commit.fields.push(replace("plan", version.to_string()));
        }
        if tagged.contains(&version) {
            commit.tags.push("kept".into());
        }
        owner.send(commit).await.expect("the owner commits");
    }
    owner
}

async fn prune(owner: &Owner, policy: RetentionPolicy) -> u64 {
    let request = PruneRequest::thread(owner.thread.clone(), policy);
    owner.store.prune(request).await.expect("it is pruned").checkpoints
}

async fn versions(owner: &Owner) -> Vec<u64> {
    let request = HistoryRequest::new(owner.thread.clone(), 100);
    let infos = owner.store.history(request).await.expect("the history is read");
    infos.iter().map(|info| info.version.0).collect()
}
