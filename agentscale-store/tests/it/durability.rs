use agentscale_core::checkpoint::{
    ClaimRequest, Commit, CommitId, Durability, FieldWrite, LoadRequest, OutboxMessage, RecordedOutcome,
    StateHeader, Version,
};
use agentscale_core::{AgentId, CheckpointStore, ErrorKind, IdempotencyKey, MessageId, Tenant};
use agentscale_store::SqliteCheckpointStore;

#[tokio::test]
async fn commits_of_every_level_are_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    let thread = AgentId::new(&Tenant::new("acme").unwrap(), "note", "alice").unwrap();
    let store = SqliteCheckpointStore::open(&path).await.unwrap();
    let claim = store.claim(ClaimRequest::new(thread.clone())).await.unwrap();
    for (expected, level) in
        [Durability::Buffered, Durability::Process, Durability::Disk].into_iter().enumerate()
    {
        let id = CommitId(*MessageId::new(expected as u64).as_uuid());
        let mut commit =
            Commit::new(id, thread.clone(), claim.epoch, Version(expected as u64), StateHeader::json(1));
        commit.level = level;
        commit.fields.push(FieldWrite::Append { name: "notes".into(), items: "[1]".into() });
        commit.outbox.push(OutboxMessage { id: MessageId::new(expected as u64), message: "m".into() });
        commit.outcome =
            Some(RecordedOutcome::new(IdempotencyKey::new(format!("k{expected}")).unwrap(), [0; 32], None));
        let committed = store.commit(commit.clone()).await.unwrap();
        assert_eq!((committed.version, committed.level), (Version(expected as u64 + 1), level));
        if level > Durability::Buffered {
            assert_eq!(store.commit(commit).await.unwrap(), committed);
        }
    }
    store.close().await.unwrap();
    assert_eq!(store.flush().await.unwrap_err().kind(), ErrorKind::Unavailable);

    let store = SqliteCheckpointStore::open(&path).await.unwrap();
    let tip = store.load(LoadRequest::tip(thread)).await.unwrap().unwrap();
    assert_eq!(tip.info.version, Version(3));
    assert_eq!(tip.fields[0].appended.len(), 3);
    assert_eq!(store.pending_outbox(None, 10).await.unwrap().entries.len(), 3);
}
