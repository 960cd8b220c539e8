//! History, forks, listings, deletion, tenants.

use super::CheckpointStoreHarness;
use super::scene::{
    Owner, agent, agent_of, append, claim, field, key, message, outbox, outcome, replace, step, store, tenant,
};
use crate::checkpoint::{At, CheckpointOrigin, ForkRequest, HistoryRequest, ThreadQuery, Version};
use crate::{AgentType, ErrorKind};

/// History is newest first, and goes on below a version.
pub async fn history_is_newest_first(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    for _ in 0..5 {
        owner.write(vec![append("notes", "[1]")]).await;
    }
    let request = HistoryRequest::new(agent("a"), 2);
    let versions = async |request: HistoryRequest| -> Vec<u64> {
        let infos = store.history(request).await.expect("the history is read");
        infos.iter().map(|info| info.version.0).collect()
    };
    assert_eq!(versions(request.clone()).await, [5, 4]);
    assert_eq!(versions(request.clone().before(Version(4))).await, [3, 2]);
    assert_eq!(versions(request.before(Version(2))).await, [1]);
    assert!(versions(HistoryRequest::new(agent("nobody"), 2)).await.is_empty());
}

/// A fork starts from a version, and goes its own way.
pub async fn a_fork_goes_its_own_way(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    owner.write(vec![replace("plan", "1"), append("notes", "[1]")]).await;
    owner.write(vec![append("notes", "[2]")]).await;
    owner.write(vec![append("notes", "[3]")]).await;
    let request = ForkRequest::new(agent("a"), agent("b")).at(At::Version(Version(2)));
    let info = store.fork(request).await.expect("it is forked");
    let origin = CheckpointOrigin::Fork { from: agent("a"), version: Version(2) };
    assert_eq!((info.version, &info.origin), (Version(1), &origin));
    let mut fork = Owner::claim(&store, agent("b")).await;
    let tip = fork.tip().await.expect("there is a tip");
    assert_eq!(tip.info.header, owner.tip().await.expect("there is a tip").info.header);
    assert_eq!(tip.info.origin, origin);
    fork.write(vec![append("notes", "[4]")]).await;
    let notes = |appended: &[&'static str]| field("notes", None, appended);
    assert_eq!(fork.tip().await.expect("there is a tip").fields[0], notes(&["[1]", "[2]", "[4]"]));
    assert_eq!(owner.tip().await.expect("there is a tip").fields[0], notes(&["[1]", "[2]", "[3]"]));
    owner.delete().await.expect("the owner deletes");
    assert_eq!(fork.tip().await.expect("there is a tip").fields[1], field("plan", Some("1"), &[]));
}

/// A fork is refused where there is no source, where the target has a checkpoint, and across tenants.
pub async fn a_fork_is_refused_by_kind(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    Owner::claim(&store, agent("a")).await.write(vec![]).await;
    Owner::claim(&store, agent("b")).await.write(vec![]).await;
    Owner::claim(&store, agent("empty")).await;
    for (from, at, to, kind) in [
        (agent("nobody"), At::Tip, agent("c"), ErrorKind::NotFound),
        (agent("empty"), At::Tip, agent("c"), ErrorKind::NotFound),
        (agent("a"), At::Version(Version(7)), agent("c"), ErrorKind::NotFound),
        (agent("a"), At::Tip, agent("b"), ErrorKind::AlreadyExists),
        (agent("a"), At::Tip, agent_of("other", "note", "c"), ErrorKind::PermissionDenied),
    ] {
        let refused = store.fork(ForkRequest::new(from, to).at(at)).await;
        assert_eq!(refused.expect_err("it is refused").kind(), kind);
    }
    store.fork(ForkRequest::new(agent("a"), agent("empty"))).await.expect("a target may be claimed");
}

/// Threads are listed by type and key, page by page; deleted ones are not.
pub async fn threads_are_listed_by_name(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    for (agent_type, key) in [("task", "a"), ("note", "b"), ("note", "a"), ("note", "gone"), ("note", "c")] {
        let mut owner = Owner::claim(&store, agent_of("acme", agent_type, key)).await;
        match key {
            "gone" => owner.delete().await.expect("the owner deletes"),
            "c" => {}
            _ => drop(owner.write(vec![]).await),
        }
    }
    let all = ThreadQuery::new(tenant("acme"), 3);
    let page = store.threads(all.clone()).await.expect("they are listed");
    let names = |page: &crate::checkpoint::ThreadPage| -> Vec<(String, u64)> {
        page.threads.iter().map(|info| (info.thread.to_string(), info.version.0)).collect()
    };
    let expected = [("acme/note/a", 1), ("acme/note/b", 1), ("acme/note/c", 0)];
    assert_eq!(names(&page), expected.map(|(name, version)| (name.to_owned(), version)));
    let next = page.next.expect("there is more");
    let page = store.threads(all.clone().after(next)).await.expect("they are listed");
    assert_eq!(names(&page), [("acme/task/a".to_owned(), 1)]);
    assert!(page.next.is_none());
    assert_eq!(page.threads[0].epoch, claim(&store, &agent_of("acme", "task", "b")).await.epoch);
    let tasks = all.of_type(AgentType::new("note").expect("names of the suite are valid"));
    assert_eq!(store.threads(tasks).await.expect("they are listed").threads.len(), 3);
}

/// A deleted thread holds nothing any more: no history, outcome, journal or pending message.
pub async fn a_deleted_thread_holds_nothing(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let mut owner = Owner::claim(&store, agent("a")).await;
    let mut commit = owner.next(vec![replace("plan", "1")]);
    commit.outcome = Some(outcome("k", 1, "done"));
    commit.outbox.push(message("hello"));
    owner.send(commit).await.expect("the owner commits");
    owner.journal("t", vec![step(0, 1, "a")]).await.expect("the owner journals");
    owner.delete().await.expect("the owner deletes");
    assert!(owner.tip().await.is_none());
    assert!(store.history(HistoryRequest::new(agent("a"), 9)).await.expect("it is read").is_empty());
    assert_eq!(store.outcome(&agent("a"), &key("k")).await.expect("it is read"), None);
    assert!(outbox(&store).await.is_empty());
    let mut owner = Owner::claim(&store, agent("a")).await;
    assert!(claim(&store, &agent("a")).await.steps.is_empty());
    owner = Owner::claim(&store, owner.thread).await;
    assert_eq!(owner.write(vec![append("notes", "[1]")]).await, Version(1));
    assert_eq!(owner.tip().await.expect("there is a tip").fields, [field("notes", None, &["[1]"])]);
}

/// Threads of the same type and key in two tenants have nothing in common.
pub async fn tenants_are_apart(harness: &dyn CheckpointStoreHarness) {
    let store = store(harness).await;
    let (ours, theirs) = (agent("a"), agent_of("other", "note", "a"));
    let mut owner = Owner::claim(&store, ours.clone()).await;
    let mut commit = owner.next(vec![replace("plan", "ours")]);
    commit.outcome = Some(outcome("k", 1, "done"));
    owner.send(commit).await.expect("the owner commits");
    let other = Owner::claim(&store, theirs.clone()).await;
    assert!(other.tip().await.is_none());
    assert_eq!(store.outcome(&theirs, &key("k")).await.expect("it is read"), None);
    let page = store.threads(ThreadQuery::new(tenant("other"), 9)).await.expect("they are listed");
    assert_eq!(page.threads.iter().map(|info| info.thread.clone()).collect::<Vec<_>>(), [theirs]);
    other.delete().await.expect("the owner deletes");
    assert!(owner.tip().await.is_some());
}
