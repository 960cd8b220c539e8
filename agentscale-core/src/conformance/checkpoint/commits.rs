//! Commits: versions, repetition, levels, limits.

use bytes::Bytes;

use super::CheckpointStoreHarness;
use super::scene::{LIMITS, Owner, agent, append, message, outbox, outcome, replace, store};
use crate::ErrorKind;
use crate::checkpoint::{BarrierRequest, Durability, Version};

/// A commit behind another version than the tip is a conflict and changes nothing.
pub async fn a_commit_behind_another_version_is_a_conflict(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let stale = owner.next(vec![replace("plan", "stale")]);
    owner.write(vec![replace("plan", "1")]).await;
    let mut ahead = owner.next(vec![]);
    ahead.expected = Version(9);
    for commit in [stale, ahead] {
        assert_eq!(store.commit(commit).await.expect_err("it is refused").kind(), ErrorKind::Conflict);
    }
    assert_eq!(owner.tip().await.expect("there is a tip").info.version, Version(1));
}

/// A repeated commit succeeds with the version of the first time, and has its effect once.
pub async fn a_repeated_commit_gives_the_same_answer(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let mut commit = owner.next(vec![append("notes", "[1]")]);
    commit.outbox.push(message("hello"));
    let first = owner.send(commit.clone()).await.expect("the owner commits");
    assert_eq!(store.commit(commit.clone()).await.expect("it is repeated").version, first.version);
    owner.write(vec![append("notes", "[2]")]).await;
    assert_eq!(store.commit(commit).await.expect("it is repeated late").version, first.version);
    let tip = owner.tip().await.expect("there is a tip");
    assert_eq!(tip.info.version, Version(2));
    assert_eq!(tip.fields[0].appended.len(), 2);
    assert_eq!(outbox(&store).await.len(), 1);
}

/// A commit reaches the level that it asks for, or a stronger one; one that is out of reach is refused.
pub async fn a_commit_reaches_its_level(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let strongest = store.capabilities().strongest;
    for level in [Durability::Buffered, Durability::Local, Durability::Process, Durability::Disk] {
        let mut commit = owner.next(vec![replace("plan", "1")]);
        commit.level = level;
        let before = owner.version;
        match owner.send(commit).await {
            Ok(committed) => assert!(level <= strongest && committed.level >= level),
            Err(error) => {
                assert!(level > strongest);
                assert_eq!((error.kind(), owner.version), (ErrorKind::Unsupported, before));
            }
        }
    }
}

/// Whatever the level of a commit, it stands after its barrier; a repeated barrier, and one of a thread that is not
/// known, change nothing.
pub async fn a_commit_stands_after_its_barrier(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    for level in [Durability::Buffered, Durability::Local, Durability::Process] {
        let mut commit = owner.next(vec![append("notes", "[1]")]);
        commit.level = level;
        owner.send(commit).await.expect("the owner commits");
        for _ in 0..2 {
            let barrier = BarrierRequest::new(agent("a"), owner.epoch, owner.version);
            store.barrier(barrier).await.expect("nobody took the thread over");
        }
        assert_eq!(owner.tip().await.expect("there is a tip").info.version, owner.version);
    }
    let unknown = BarrierRequest::new(agent("b"), owner.epoch, Version(3));
    store.barrier(unknown).await.expect("nothing waits there");
}

/// What is committed is seen by the reads of the same store, buffered commits included.
pub async fn a_buffered_commit_is_seen(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    for version in 1..=20 {
        let mut commit = owner.next(vec![append("notes", "[1]")]);
        commit.level = Durability::Buffered;
        commit.outcome = Some(outcome(&format!("k{version}"), 1, "done"));
        assert_eq!(owner.send(commit).await.expect("the owner commits").version, Version(version));
        let tip = owner.tip().await.expect("there is a tip");
        assert_eq!(tip.info.version, Version(version));
        assert_eq!(tip.fields[0].appended.len() as u64, version);
    }
}

/// A commit over the limit in bytes is too large, and nothing of it is written.
pub async fn a_commit_over_its_limit_is_too_large(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let mut commit = owner.next(vec![replace("plan", Bytes::from(vec![b'x'; LIMITS.commit_bytes]))]);
    commit.outbox.push(message("one byte more"));
    assert_eq!(store.commit(commit.clone()).await.expect_err("it is refused").kind(), ErrorKind::TooLarge);
    assert!(owner.tip().await.is_none());
    assert!(outbox(&store).await.is_empty());
    commit.outbox.clear();
    owner.send(commit).await.expect("what just fits is committed");
}

/// A state over the limit in bytes is too large, and nothing of the commit is written; what is
/// replaced does not count.
pub async fn a_state_over_its_limit_is_too_large(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let piece = Bytes::from(vec![b'x'; LIMITS.commit_bytes]);
    for _ in 0..8 {
        owner.write(vec![replace("plan", piece.clone())]).await;
    }
    owner.write(vec![append("notes", piece.clone())]).await;
    let mut commit = owner.next(vec![append("notes", "x")]);
    commit.outcome = Some(outcome("k", 1, "done"));
    assert_eq!(owner.send(commit).await.expect_err("it is refused").kind(), ErrorKind::TooLarge);
    assert_eq!(owner.tip().await.expect("there is a tip").info.version, Version(9));
    assert!(store.outcome(&agent("a"), &super::scene::key("k")).await.expect("it is read").is_none());
    owner.write(vec![replace("plan", "small"), append("notes", "x")]).await;
}

/// Commits of many threads at once all stand, each in its thread.
pub async fn commits_of_many_threads_stand(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let agents: Vec<_> = (0..32)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut owner = Owner::claim(&store, agent(&format!("a{number}"))).await;
                for _ in 0..8 {
                    owner.write(vec![append("notes", format!("[{number}]"))]).await;
                }
                owner
            })
        })
        .collect();
    for (number, owner) in agents.into_iter().enumerate() {
        let tip = owner.await.expect("the agent ends").tip().await.expect("there is a tip");
        assert_eq!(tip.info.version, Version(8));
        assert_eq!(tip.fields[0].appended, vec![Bytes::from(format!("[{number}]")); 8]);
    }
}

/// The error of one commit does not touch those that are written with it.
pub async fn an_error_of_one_commit_harms_no_other(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let stale = Owner::claim(&store, agent("stale")).await;
    Owner::claim(&store, agent("stale")).await;
    let commits: Vec<_> = (0..32)
        .map(|number| {
            let (store, stale) = (store.clone(), stale.clone());
            tokio::spawn(async move {
                if number % 2 == 0 {
                    let refused = store.commit(stale.next(vec![])).await;
                    assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Fenced);
                } else {
                    Owner::claim(&store, agent(&format!("a{number}"))).await.write(vec![]).await;
                }
            })
        })
        .collect();
    for commit in commits {
        commit.await.expect("the commit ends as it should");
    }
}
