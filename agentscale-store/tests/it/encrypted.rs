//! What is sealed opens at its place with its key, and nowhere else.

use std::path::Path;

use agentscale_core::checkpoint::{
    AppendSteps, At, ClaimRequest, Commit, DeadLetter, DeleteRequest, FieldWrite, ForkRequest, LoadRequest,
    OutboxMessage, RecordedOutcome, Step, TurnId, Version,
};
use agentscale_core::{CheckpointStore, ErrorKind, IdempotencyKey, MessageId, Tenant};
use agentscale_store::{
    EncryptedCheckpointStore, InMemoryCheckpointStore, KeyId, SqliteCheckpointConfig, SqliteCheckpointStore,
    StaticTenantKeys, TenantKey,
};
use sqlx::{Connection, Executor, SqliteConnection};

use crate::scene::{Owner, open_with, thread};

type Encrypted = EncryptedCheckpointStore<SqliteCheckpointStore>;

const SECRET: &str = "the secret plan";

fn keys(ids: &[(u32, u8)]) -> StaticTenantKeys {
    let tenant = Tenant::new("acme").expect("a name");
    ids.iter().fold(StaticTenantKeys::new(), |keys, (id, byte)| {
        keys.with_key(tenant.clone(), KeyId(*id), TenantKey::new([*byte; 32]))
    })
}

async fn open(folder: &Path) -> Encrypted {
    let inner = open_with(&folder.join("checkpoints.db"), SqliteCheckpointConfig::default()).await;
    EncryptedCheckpointStore::new(inner, keys(&[(1, 1)]))
}

async fn change(folder: &Path, sql: &'static str) {
    let path = folder.join("checkpoints.db");
    let mut file = SqliteConnection::connect(path.to_str().expect("a path")).await.expect("the file opens");
    file.execute(sql).await.expect("the file is changed");
    file.close().await.expect("the file is closed");
}

fn plan(text: &str) -> FieldWrite {
    FieldWrite::Replace { name: "plan".into(), value: text.to_owned().into() }
}

/// A commit with something of each kind that is sealed.
fn full(owner: &Owner) -> Commit {
    let mut commit = owner.commit(vec![
        plan(SECRET),
        FieldWrite::Append { name: "notes".into(), items: SECRET.into() },
        FieldWrite::Append { name: "notes".into(), items: SECRET.into() },
    ]);
    let key = IdempotencyKey::new("k").expect("a key");
    commit.outcome = Some(RecordedOutcome::new(key, [1; 32], Some(SECRET.into())));
    commit.outbox.push(OutboxMessage { id: MessageId::new(1), message: SECRET.into() });
    commit
}

async fn fill(store: &Encrypted, key: &str) -> Owner {
    let mut owner = Owner::claim(store, key).await;
    owner.send(full(&owner)).await.expect("the owner commits");
    let step = Step { index: 0, request_hash: [1; 32], result: SECRET.into() };
    let turn = TurnId("t".into());
    let steps = AppendSteps::new(thread(key), owner.epoch, turn, vec![step]);
    store.append_steps(steps).await.expect("the owner journals");
    owner
}

async fn kind(store: &impl CheckpointStore, key: &str, at: At) -> Option<ErrorKind> {
    let mut request = LoadRequest::tip(thread(key));
    request.at = at;
    store.load(request).await.err().map(|error| error.kind())
}

#[tokio::test]
async fn the_file_shows_nothing_of_what_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, "alice").await;
    let letter = OutboxMessage { id: MessageId::new(1), message: SECRET.into() };
    store.bury(DeadLetter::new(thread("alice"), letter, 1, SECRET)).await.unwrap();
    store.inner().close().await.unwrap();
    let bytes = std::fs::read(folder.path().join("checkpoints.db")).unwrap();
    let shows = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(shows(b"alice") && shows(b"plan"));
    assert!(!shows(b"the secret") && !shows(b"secret plan"));
}

#[tokio::test]
async fn values_of_two_threads_that_change_places_are_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, "alice").await;
    fill(&store, "bob").await;
    // Each column as it was, under the number of the other thread: alice has 1, bob 2.
    for (keep, swap) in [
        (
            "CREATE TABLE kept AS SELECT 3 - thread AS thread, delta FROM checkpoints",
            "UPDATE checkpoints SET delta = (SELECT delta FROM kept WHERE kept.thread = checkpoints.thread)",
        ),
        (
            "CREATE TABLE kept AS SELECT 3 - thread AS thread, reply FROM outcomes",
            "UPDATE outcomes SET reply = (SELECT reply FROM kept WHERE kept.thread = outcomes.thread)",
        ),
        (
            "CREATE TABLE kept AS SELECT 3 - thread AS thread, message FROM outbox",
            "UPDATE outbox SET message = (SELECT message FROM kept WHERE kept.thread = outbox.thread)",
        ),
    ] {
        for sql in [keep, swap, "DROP TABLE kept"] {
            change(folder.path(), sql).await;
        }
    }
    for key in ["alice", "bob"] {
        assert_eq!(kind(&store, key, At::Tip).await, Some(ErrorKind::Corrupt));
        let outcome = store.outcome(&thread(key), &IdempotencyKey::new("k").unwrap()).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    let page = store.pending_outbox(None, 9).await.unwrap();
    assert_eq!((page.entries.len(), store.unreadable()), (0, 2));
    let stored = store.inner().pending_outbox(None, 9).await.unwrap();
    assert_eq!(stored.entries.len(), 2);
}

#[tokio::test]
async fn a_step_that_changes_its_place_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    fill(&store, "alice").await;
    change(folder.path(), "UPDATE steps SET step = 1").await;
    let error = store.claim(ClaimRequest::new(thread("alice"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn items_out_of_their_order_are_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut owner = Owner::claim(&store, "alice").await;
    owner.write("[1]").await.unwrap();
    owner.write("[2]").await.unwrap();
    for sql in [
        "CREATE TABLE kept AS SELECT 3 - version AS version, delta FROM checkpoints",
        "UPDATE checkpoints SET delta = (SELECT delta FROM kept WHERE kept.version = checkpoints.version)",
    ] {
        change(folder.path(), sql).await;
    }
    assert_eq!(kind(&store, "alice", At::Tip).await, Some(ErrorKind::Corrupt));
}

#[tokio::test]
async fn a_value_at_an_earlier_version_than_its_own_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut owner = Owner::claim(&store, "alice").await;
    for text in ["1", "2"] {
        owner.send(owner.commit(vec![plan(text)])).await.unwrap();
    }
    change(folder.path(), "UPDATE checkpoints SET delta = (SELECT delta FROM checkpoints WHERE version = 2)")
        .await;
    assert_eq!(kind(&store, "alice", At::Version(Version(1))).await, Some(ErrorKind::Corrupt));
    assert_eq!(kind(&store, "alice", At::Tip).await, None);
}

#[tokio::test]
async fn a_wrong_key_opens_nothing_and_takes_no_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut owner = fill(&store, "alice").await;
    for (ids, expected) in [
        (keys(&[(1, 9)]), ErrorKind::Corrupt),
        (keys(&[(2, 1)]), ErrorKind::PermissionDenied),
        (keys(&[]), ErrorKind::PermissionDenied),
    ] {
        let stranger = EncryptedCheckpointStore::new(store.inner().clone(), ids);
        assert_eq!(kind(&stranger, "alice", At::Tip).await, Some(expected));
        let claimed = stranger.claim(ClaimRequest::new(thread("alice"))).await;
        assert_eq!(claimed.unwrap_err().kind(), expected);
        assert!(stranger.pending_outbox(None, 9).await.unwrap().entries.is_empty());
        assert_eq!(stranger.unreadable(), 1);
        owner.write("[1]").await.expect("its owner still writes");
    }
}

#[tokio::test]
async fn a_tenant_without_a_key_writes_nothing() {
    let inner = InMemoryCheckpointStore::new();
    let owner = Owner::claim(&inner, "alice").await;
    let store = EncryptedCheckpointStore::new(inner.clone(), keys(&[]));
    assert_eq!(store.commit(full(&owner)).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
    let claimed = store.claim(ClaimRequest::new(thread("alice"))).await;
    assert_eq!(claimed.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert!(inner.load(LoadRequest::tip(thread("alice"))).await.unwrap().is_none());
    assert!(inner.pending_outbox(None, 9).await.unwrap().entries.is_empty());
    assert_eq!(inner.claim(ClaimRequest::new(thread("alice"))).await.unwrap().epoch.counter, 2);
}

#[tokio::test]
async fn a_key_is_rotated() {
    let inner = InMemoryCheckpointStore::new();
    let with = |ids: &[(u32, u8)]| EncryptedCheckpointStore::new(inner.clone(), keys(ids));
    let (old, both, new) = (with(&[(1, 1)]), with(&[(1, 1), (2, 2)]), with(&[(2, 2)]));
    let mut owner = Owner::claim(&old, "alice").await;
    owner.send(owner.commit(vec![plan("old")])).await.unwrap();
    let mut owner = Owner::claim(&both, "alice").await;
    assert_eq!(kind(&new, "alice", At::Tip).await, Some(ErrorKind::PermissionDenied));
    owner.send(owner.commit(vec![plan("new")])).await.unwrap();
    assert_eq!(kind(&new, "alice", At::Tip).await, None);
    assert_eq!(kind(&old, "alice", At::Tip).await, Some(ErrorKind::PermissionDenied));
}

#[tokio::test]
async fn a_fork_reads_what_was_sealed_for_its_source() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    Owner::claim(&store, "alice").await.write("[1]").await.unwrap();
    for (from, to) in [("alice", "bob"), ("bob", "carol")] {
        store.fork(ForkRequest::new(thread(from), thread(to))).await.unwrap();
        let early = store.fork(ForkRequest::new(thread(to), thread("early"))).await;
        assert_eq!(early.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(kind(&store, to, At::Tip).await, None);
        // Committed here by an owner that this store knows, then by one that it does not.
        Owner::claim(&store, to).await.write("[2]").await.unwrap();
        let mut owner = Owner::claim(&store, to).await;
        let afresh = EncryptedCheckpointStore::new(store.inner().clone(), keys(&[(1, 1)]));
        let mut commit = owner.commit(vec![FieldWrite::Append { name: "notes".into(), items: "[3]".into() }]);
        commit.epoch = owner.epoch;
        owner.version = afresh.commit(commit).await.unwrap().version;
        let epoch = Owner::claim(&store, from).await.epoch;
        store.delete(DeleteRequest::new(thread(from), epoch)).await.unwrap();
    }
    let tip = store.load(LoadRequest::tip(thread("carol"))).await.unwrap().unwrap();
    assert_eq!(tip.fields[0].appended, ["[1]", "[2]", "[3]", "[2]", "[3]"]);
    assert_eq!(tip.info.header, agentscale_core::checkpoint::StateHeader::json(1));
}

#[tokio::test]
async fn what_was_stored_unencrypted_is_corrupt() {
    let inner = InMemoryCheckpointStore::new();
    Owner::claim(&inner, "alice").await.write("[1]").await.unwrap();
    let store = EncryptedCheckpointStore::new(inner, keys(&[(1, 1)]));
    assert_eq!(kind(&store, "alice", At::Tip).await, Some(ErrorKind::Corrupt));
}

#[test]
fn a_key_is_not_shown() {
    let shown = format!("{:?}", keys(&[(1, 171)]));
    assert!(shown.contains("TenantKey(..)") && !shown.contains("171"), "{shown}");
}
