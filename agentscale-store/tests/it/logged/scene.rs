use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::{
    BarrierRequest, Checkpoint, ClaimRequest, Commit, CommitId, Committed, Durability, Epoch, FieldWrite,
    LoadRequest, StateHeader, Version,
};
use agentscale_core::lease::{AcquireRequest, Lease, LeaseKey};
use agentscale_core::testkit::{FaultyStore, StoreFault, StoreOperation};
use agentscale_core::{CheckpointStore, ErrorKind, MessageId, Result, Tenant};
use agentscale_store::{
    InMemoryCheckpointStore, InMemoryLeaseStore, LoggedCheckpointConfig, LoggedCheckpointStore,
};
use bytes::Bytes;
use tempfile::TempDir;

use crate::scene::thread;

pub(super) type Faulty = FaultyStore<InMemoryCheckpointStore>;
pub(super) type Logged = LoggedCheckpointStore<Faulty>;

/// A node with its lease and its log, and the store that it shares with others.
pub(super) struct Scene {
    folder: TempDir,
    pub(super) lease: Lease,
    /// What the node reaches only as far as there are no faults.
    pub(super) faulty: Faulty,
    /// What other nodes see.
    pub(super) within: InMemoryCheckpointStore,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let within = InMemoryCheckpointStore::new().with_retention(None);
        let lease = lease(Duration::from_secs(60)).await;
        let folder = tempfile::tempdir().expect("a folder is made");
        Self { folder, lease, faulty: FaultyStore::new(within.clone()), within }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }

    pub(super) async fn open(&self) -> Logged {
        self.open_with(LoggedCheckpointConfig::default()).await
    }

    pub(super) async fn open_with(&self, config: LoggedCheckpointConfig) -> Logged {
        let watch = self.lease.watch();
        LoggedCheckpointStore::open(self.faulty.clone(), self.path(), watch, config)
            .await
            .expect("the log opens")
    }

    /// The next so many commits do not get to the shared store.
    pub(super) fn fail_commits(&self, times: usize) {
        for _ in 0..times {
            self.faulty.inject(StoreOperation::Commit, StoreFault::Fail(ErrorKind::Unavailable));
        }
    }

    pub(super) fn meet(&self, fault: StoreFault) {
        self.faulty.inject(StoreOperation::Commit, fault);
    }

    /// The tip that other nodes see.
    pub(super) async fn tip(&self, key: &str) -> Option<Checkpoint> {
        self.within.load(LoadRequest::tip(thread(key))).await.expect("it is read")
    }

    /// What other nodes see of an agent's notes.
    pub(super) async fn notes(&self, key: &str) -> Vec<Bytes> {
        let tip = self.tip(key).await;
        tip.map(|tip| tip.fields[0].appended.clone()).unwrap_or_default()
    }
}

pub(super) async fn lease(ttl: Duration) -> Lease {
    let key = LeaseKey::new(&Tenant::new("acme").expect("a name"), "node", "1").expect("names");
    let request = AcquireRequest::new(key, "here".try_into().expect("a name"), ttl);
    Lease::acquire(Arc::new(InMemoryLeaseStore::new()), request).await.expect("nobody holds it")
}

/// An owner that is content with *local*.
#[derive(Clone)]
pub(super) struct Agent {
    pub(super) key: &'static str,
    pub(super) epoch: Epoch,
    pub(super) version: Version,
}

impl Agent {
    pub(super) async fn claim(store: &impl CheckpointStore, key: &'static str) -> Self {
        let claim = store.claim(ClaimRequest::new(thread(key))).await.expect("the thread is claimed");
        Self { key, epoch: claim.epoch, version: claim.version() }
    }

    pub(super) fn next(&self, note: &str) -> Commit {
        let id = CommitId(*MessageId::new(1).as_uuid());
        let mut commit = Commit::new(id, thread(self.key), self.epoch, self.version, StateHeader::json(1));
        commit.level = Durability::Local;
        commit.fields.push(FieldWrite::Append { name: "notes".into(), items: note.to_owned().into() });
        commit
    }

    pub(super) async fn send(&mut self, store: &impl CheckpointStore, commit: Commit) -> Result<Committed> {
        let committed = store.commit(commit).await?;
        self.version = committed.version;
        Ok(committed)
    }

    pub(super) async fn write(&mut self, store: &impl CheckpointStore, note: &str) -> Result<Durability> {
        self.send(store, self.next(note)).await.map(|committed| committed.level)
    }

    pub(super) async fn barrier(&self, store: &impl CheckpointStore) -> Result<()> {
        store.barrier(BarrierRequest::new(thread(self.key), self.epoch, self.version)).await
    }
}

pub(super) fn notes(of: &[&'static str]) -> Vec<Bytes> {
    of.iter().map(|note| Bytes::from(*note)).collect()
}

/// Lets the paused clock stand still while files are written, which the runtime does not see as work. Time passes by
/// [`pass`] and [`with_time`] alone.
pub(super) struct Still {
    _until: std::sync::mpsc::Sender<()>,
}

impl Still {
    pub(super) fn new() -> Self {
        let (until, ended) = std::sync::mpsc::channel();
        // Its other end is dropped with the scene.
        tokio::task::spawn_blocking(move || ended.recv());
        Self { _until: until }
    }
}

const STEP: Duration = Duration::from_millis(50);

/// Lets so much time pass, in steps in which whoever waits gets on.
pub(super) async fn pass(time: Duration) {
    for _ in 0..time.as_millis() / STEP.as_millis() {
        tokio::time::advance(STEP).await;
        settle().await;
    }
}

/// Lets time pass until `work` is done.
pub(super) async fn with_time<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = pass(STEP) => std::thread::yield_now(),
        }
    }
}

/// Lets those go on who need no time.
pub(super) async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}
