//! An owner of a thread in a file.

use std::path::Path;
use std::sync::Arc;

use agentscale_core::checkpoint::{
    ClaimRequest, Commit, CommitId, Durability, Epoch, FieldWrite, StateHeader, Version,
};
use agentscale_core::time::SystemClock;
use agentscale_core::{AgentId, CheckpointStore, MessageId, Result, Tenant};
use agentscale_store::{SqliteCheckpointConfig, SqliteCheckpointStore};

pub(crate) fn thread(key: &str) -> AgentId {
    AgentId::new(&Tenant::new("acme").expect("a name"), "note", key).expect("names")
}

pub(crate) async fn open_with(path: &Path, mut config: SqliteCheckpointConfig) -> SqliteCheckpointStore {
    config.retention = None;
    let clock = Arc::new(SystemClock::new());
    SqliteCheckpointStore::open_with(path, config, clock).await.expect("the store opens")
}

pub(crate) struct Owner {
    store: Arc<dyn CheckpointStore>,
    thread: AgentId,
    pub(crate) epoch: Epoch,
    pub(crate) version: Version,
    pub(crate) level: Durability,
}

impl Owner {
    pub(crate) async fn claim(store: &(impl CheckpointStore + Clone), key: &str) -> Self {
        let claim = store.claim(ClaimRequest::new(thread(key))).await.expect("the thread is claimed");
        Self {
            store: Arc::new(store.clone()),
            thread: thread(key),
            epoch: claim.epoch,
            version: claim.version(),
            level: Durability::Process,
        }
    }

    pub(crate) fn commit(&self, fields: Vec<FieldWrite>) -> Commit {
        let id = CommitId(*MessageId::new(1).as_uuid());
        let mut commit = Commit::new(id, self.thread.clone(), self.epoch, self.version, StateHeader::json(1));
        commit.fields = fields;
        commit.level = self.level;
        commit
    }

    pub(crate) async fn send(&mut self, commit: Commit) -> Result<Version> {
        self.version = self.store.commit(commit).await?.version;
        Ok(self.version)
    }

    pub(crate) async fn write(&mut self, items: &str) -> Result<Version> {
        let items = items.to_owned().into();
        self.send(self.commit(vec![FieldWrite::Append { name: "notes".into(), items }])).await
    }
}
