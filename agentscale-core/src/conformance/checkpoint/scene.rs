use std::sync::Arc;

use bytes::Bytes;

use super::CheckpointStoreHarness;
use crate::checkpoint::{
    AppendSteps, At, Checkpoint, Claim, ClaimRequest, Commit, CommitId, Committed, DeleteRequest, Epoch,
    Field, FieldWrite, LoadRequest, OutboxMessage, RecordedOutcome, StateHeader, StateLimits, Step, TurnId,
    Version,
};
use crate::{AgentId, CheckpointStore, IdempotencyKey, MessageId, Result, Stamp, Tenant};

pub(super) const LIMITS: StateLimits = StateLimits { commit_bytes: 4 << 10, state_bytes: 8 << 10 };

pub(super) async fn store(harness: &dyn CheckpointStoreHarness) -> Arc<dyn CheckpointStore> {
    harness.start(LIMITS).await
}

pub(super) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("names of the suite are valid")
}

pub(super) fn agent(key: &str) -> AgentId {
    agent_of("acme", "note", key)
}

pub(super) fn agent_of(owner: &str, agent_type: &str, key: &str) -> AgentId {
    AgentId::new(&tenant(owner), agent_type, key).expect("names of the suite are valid")
}

pub(super) fn key(name: &str) -> IdempotencyKey {
    IdempotencyKey::new(name).expect("names of the suite are valid")
}

pub(super) fn message(text: &'static str) -> OutboxMessage {
    OutboxMessage { id: MessageId::new(1), message: Bytes::from_static(text.as_bytes()) }
}

pub(super) fn outcome(name: &str, hash: u8, reply: &'static str) -> RecordedOutcome {
    RecordedOutcome::new(key(name), [hash; 32], Some(Bytes::from_static(reply.as_bytes())))
}

pub(super) fn step(index: u32, hash: u8, result: &'static str) -> Step {
    Step { index, request_hash: [hash; 32], result: Bytes::from_static(result.as_bytes()) }
}

pub(super) fn turn(name: &str) -> TurnId {
    TurnId(name.to_owned())
}

pub(super) fn replace(name: &str, value: impl Into<Bytes>) -> FieldWrite {
    FieldWrite::Replace { name: name.to_owned(), value: value.into() }
}

pub(super) fn append(name: &str, items: impl Into<Bytes>) -> FieldWrite {
    FieldWrite::Append { name: name.to_owned(), items: items.into() }
}

pub(super) fn remove(name: &str) -> FieldWrite {
    FieldWrite::Remove { name: name.to_owned() }
}

pub(super) fn field(name: &str, value: Option<&'static str>, appended: &[&'static str]) -> Field {
    Field {
        name: name.to_owned(),
        value: value.map(Bytes::from),
        appended: appended.iter().map(|items| Bytes::from(*items)).collect(),
    }
}

/// One owner of a thread, as a runtime would be.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) store: Arc<dyn CheckpointStore>,
    pub(super) thread: AgentId,
    pub(super) epoch: Epoch,
    pub(super) version: Version,
}

impl Owner {
    pub(super) async fn claim(store: &Arc<dyn CheckpointStore>, thread: AgentId) -> Self {
        let claim = claim(store, &thread).await;
        Self { store: store.clone(), thread, epoch: claim.epoch, version: claim.version() }
    }

    /// A commit behind the last one, with a stamp of its own.
    pub(super) fn next(&self, fields: Vec<FieldWrite>) -> Commit {
        let id = CommitId(*MessageId::new(1).as_uuid());
        let mut commit = Commit::new(id, self.thread.clone(), self.epoch, self.version, StateHeader::json(3));
        commit.fields = fields;
        commit.stamp = Stamp::from_parts(u64::MAX - self.version.0, 7);
        commit
    }

    pub(super) async fn send(&mut self, commit: Commit) -> Result<Committed> {
        let committed = self.store.commit(commit).await?;
        self.version = committed.version;
        Ok(committed)
    }

    pub(super) async fn write(&mut self, fields: Vec<FieldWrite>) -> Version {
        self.send(self.next(fields)).await.expect("the owner commits").version
    }

    pub(super) async fn journal(&self, name: &str, steps: Vec<Step>) -> Result<()> {
        self.store.append_steps(AppendSteps::new(self.thread.clone(), self.epoch, turn(name), steps)).await
    }

    pub(super) async fn delete(&self) -> Result<()> {
        self.store.delete(DeleteRequest::new(self.thread.clone(), self.epoch)).await
    }

    pub(super) async fn tip(&self) -> Option<Checkpoint> {
        load(&self.store, &self.thread, At::Tip).await
    }

    pub(super) async fn at(&self, version: u64) -> Option<Checkpoint> {
        load(&self.store, &self.thread, At::Version(Version(version))).await
    }
}

pub(super) async fn claim(store: &Arc<dyn CheckpointStore>, thread: &AgentId) -> Claim {
    store.claim(ClaimRequest::new(thread.clone())).await.expect("the thread is claimed")
}

pub(super) async fn load(store: &Arc<dyn CheckpointStore>, thread: &AgentId, at: At) -> Option<Checkpoint> {
    store.load(LoadRequest { thread: thread.clone(), at }).await.expect("the thread is read")
}

pub(super) async fn outbox(store: &Arc<dyn CheckpointStore>) -> Vec<(MessageId, u32)> {
    let page = store.pending_outbox(None, 100).await.expect("the outbox is read");
    page.entries.iter().map(|entry| (entry.message.id, entry.attempts)).collect()
}
