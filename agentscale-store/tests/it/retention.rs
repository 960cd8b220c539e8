use agentscale_core::checkpoint::{
    ClaimRequest, Commit, CommitId, FieldWrite, HistoryRequest, StateHeader, Version,
};
use agentscale_core::{CheckpointStore, MessageId};
use agentscale_store::InMemoryCheckpointStore;

use crate::scene::thread;

#[tokio::test]
async fn memory_prunes_a_growing_thread_unasked_and_keeps_all_where_told_to() {
    assert_eq!(versions_after(InMemoryCheckpointStore::new(), 63).await, 63);
    assert_eq!(versions_after(InMemoryCheckpointStore::new(), 64).await, 20);
    assert_eq!(versions_after(InMemoryCheckpointStore::new().with_retention(None), 64).await, 64);
}

async fn versions_after(store: InMemoryCheckpointStore, commits: u64) -> usize {
    let claim = store.claim(ClaimRequest::new(thread("alice"))).await.expect("memory answers");
    for expected in 0..commits {
        let id = CommitId(*MessageId::new(1).as_uuid());
        let header = StateHeader::json(1);
        let mut commit = Commit::new(id, thread("alice"), claim.epoch, Version(expected), header);
        commit.fields.push(FieldWrite::Replace { name: "notes".into(), value: "1".into() });
        store.commit(commit).await.expect("memory answers");
    }
    store.history(HistoryRequest::new(thread("alice"), 1_000)).await.expect("memory answers").len()
}
