//! Fields and the header of a state.

use super::CheckpointStoreHarness;
use super::scene::{Owner, agent, append, claim, field, remove, replace, store};
use crate::Stamp;
use crate::checkpoint::{CheckpointOrigin, StateHeader, Version};

/// Fields are replaced, appended to and removed; those not named stay. Loaded by the order of names.
pub async fn fields_are_replaced_appended_and_removed(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    owner.write(vec![replace("plan", "1"), append("notes", "[1]"), replace("mood", "good")]).await;
    owner.write(vec![append("notes", "[2]"), append("plan", "+")]).await;
    owner.write(vec![remove("mood"), replace("plan", "3"), append("plan", "4")]).await;
    owner.write(vec![append("mood", "again"), remove("absent")]).await;
    let tip = owner.tip().await.expect("there is a tip");
    assert_eq!(
        tip.fields,
        [
            field("mood", None, &["again"]),
            field("notes", None, &["[1]", "[2]"]),
            field("plan", Some("3"), &["4"]),
        ]
    );
}

/// Every version can be loaded as it was; one that does not exist is absent.
pub async fn each_version_loads_as_it_was(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    owner.write(vec![replace("plan", "1")]).await;
    owner.write(vec![append("plan", "2")]).await;
    owner.write(vec![replace("plan", "3")]).await;
    for (version, expected) in [
        (1, field("plan", Some("1"), &[])),
        (2, field("plan", Some("1"), &["2"])),
        (3, field("plan", Some("3"), &[])),
    ] {
        let checkpoint = owner.at(version).await.expect("the version exists");
        assert_eq!((checkpoint.info.version, checkpoint.fields), (Version(version), vec![expected]));
    }
    assert!(owner.at(0).await.is_none());
    assert!(owner.at(4).await.is_none());
    owner.thread = agent("nobody");
    assert!(owner.tip().await.is_none());
}

/// A long chain of changes, each of its own size, loads as it was written.
pub async fn a_long_line_of_changes_loads(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let text = |version: u64| format!("{version}{}", "x".repeat((version % 7 * 500) as usize));
    owner.write(vec![replace("kept", "first")]).await;
    for version in 2..=150 {
        owner.write(vec![replace("plan", text(version))]).await;
    }
    for version in [2, 64, 77, 149, 150] {
        let checkpoint = owner.at(version).await.expect("the version exists");
        assert_eq!(checkpoint.fields[0], field("kept", Some("first"), &[]));
        assert_eq!(checkpoint.fields[1].value.as_deref(), Some(text(version).as_bytes()));
    }
}

/// A checkpoint carries what its commit said: id, epoch, header, tags, stamp.
pub async fn a_checkpoint_carries_its_commit(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let mut commit = owner.next(vec![]);
    commit.header = StateHeader { codec: String::from("cbor").into(), schema_version: u32::MAX };
    commit.tags = vec!["approved".into(), "milestone".into()];
    commit.stamp = Stamp::from_parts(u64::MAX, u64::MAX);
    owner.send(commit.clone()).await.expect("the owner commits");
    let info = claim(&store, &agent("a")).await.tip.expect("there is a tip").info;
    assert_eq!((info.thread, info.version), (agent("a"), Version(1)));
    assert_eq!((info.id, info.epoch), (commit.id, commit.epoch));
    assert_eq!((info.header, info.tags, info.stamp), (commit.header, commit.tags, commit.stamp));
    assert_eq!(info.origin, CheckpointOrigin::Turn);
}
