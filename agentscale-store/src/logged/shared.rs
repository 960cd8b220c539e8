use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::checkpoint::{
    CheckpointCapabilities, CheckpointInfo, Commit, HistoryRequest, StateLimits, Version,
};
use agentscale_core::lease::LeaseWatch;
use agentscale_core::{AgentId, CheckpointStore, Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::config::LoggedCheckpointConfig;
use super::log::Log;
use super::stats::Counters;
use super::tails::Tails;
use super::thread::{Entry, Room, Thread};

/// What the store and those who flush share.
#[derive(Debug)]
pub(super) struct Shared<S> {
    pub(super) inner: S,
    pub(super) log: Log,
    pub(super) config: LoggedCheckpointConfig,
    pub(super) counters: Counters,
    pub(super) tails: Arc<Tails>,
    pub(super) flights: Semaphore,
    room: [Arc<Semaphore>; 2],
    lease: Mutex<LeaseWatch>,
    threads: Mutex<HashMap<AgentId, Arc<Thread>>>,
}

impl<S: CheckpointStore> Shared<S> {
    pub(super) async fn open(
        inner: S,
        path: &Path,
        lease: LeaseWatch,
        config: LoggedCheckpointConfig,
    ) -> Result<Arc<Self>> {
        config.check(&lease)?;
        let tails = Arc::<Tails>::default();
        let (log, left) = Log::open(path, &config, tails.clone()).await?;
        let room = [config.commits, config.bytes].map(|most| {
            Arc::new(Semaphore::new(most.clamp(1, u32::MAX as usize).min(Semaphore::MAX_PERMITS)))
        });
        let flights = Semaphore::new(config.flushes.clamp(1, Semaphore::MAX_PERMITS));
        let shared = Arc::new(Self {
            inner,
            log,
            config,
            counters: Counters::default(),
            tails,
            flights,
            room,
            lease: Mutex::new(lease),
            threads: Mutex::default(),
        });
        shared.replay(left);
        Ok(shared)
    }

    /// What an earlier process left is flushed as if this one had acknowledged it.
    fn replay(&self, left: Vec<(u64, Commit)>) {
        if !left.is_empty() {
            tracing::info!(commits = left.len(), "replays the log");
        }
        for (seq, commit) in left {
            let bytes = bytes_of(&commit);
            let permits = self.room.each_ref().map(Arc::clone);
            let [count, size] = permits;
            let taken = count.try_acquire_owned().ok().zip(self.size(size, bytes));
            let room = Room { _permits: taken.map(|(count, bytes)| [count, bytes]), bytes };
            let thread = self.thread(&commit.thread);
            self.tails.push(thread, Entry { seq, commit, at: Instant::now(), room });
        }
    }

    fn size(&self, size: Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
        size.try_acquire_many_owned(self.permits(bytes)).ok()
    }

    fn permits(&self, bytes: usize) -> u32 {
        let most = u32::try_from(self.config.bytes.max(1)).unwrap_or(u32::MAX);
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, most)
    }

    /// Waits for room in the log.
    pub(super) async fn room(&self, bytes: usize) -> Result<Room> {
        let [count, size] = self.room.each_ref().map(Arc::clone);
        let closed = |_| Error::new(ErrorKind::Unavailable, "commit").with_context("reason", "closed");
        let count = count.acquire_owned().await.map_err(closed)?;
        let size = size.acquire_many_owned(self.permits(bytes)).await.map_err(closed)?;
        Ok(Room { _permits: Some([count, size]), bytes })
    }

    /// Whether the log may acknowledge: nobody else can hold the lease before the commit has to be flushed.
    pub(super) fn outlasts_a_flush(&self) -> bool {
        let lease = self.lease();
        lease.check().is_ok() && lease.remaining() > self.config.flush_bound
    }

    pub(super) fn is_leased(&self) -> bool {
        self.lease().check().is_ok()
    }

    pub(super) fn lease(&self) -> MutexGuard<'_, LeaseWatch> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn limits(&self) -> StateLimits {
        self.capabilities().limits
    }

    pub(super) fn capabilities(&self) -> CheckpointCapabilities {
        self.inner.capabilities()
    }

    /// A thread, remembered from now on.
    pub(super) fn thread(&self, id: &AgentId) -> Arc<Thread> {
        let mut threads = self.threads();
        if let Some(thread) = threads.get(id) {
            return thread.clone();
        }
        if threads.len() >= self.config.remembered_threads {
            threads.retain(|_, thread| Arc::strong_count(thread) > 1 || !thread.can_be_forgotten());
        }
        let thread = Thread::new(id.clone());
        threads.insert(id.clone(), thread.clone());
        thread
    }

    /// A thread that is remembered.
    pub(super) fn known(&self, id: &AgentId) -> Option<Arc<Thread>> {
        self.threads().get(id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Thread>> {
        self.threads().values().cloned().collect()
    }

    /// The checkpoint of a thread at a version, without its state.
    pub(super) async fn info(&self, thread: &AgentId, version: Version) -> Result<Option<CheckpointInfo>> {
        let request = HistoryRequest::new(thread.clone(), 1).before(Version(version.0 + 1));
        let found = self.inner.history(request).await?.pop();
        Ok(found.filter(|info| info.version == version))
    }

    fn threads(&self) -> MutexGuard<'_, HashMap<AgentId, Arc<Thread>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes that a commit takes of the log.
pub(super) fn bytes_of(commit: &Commit) -> usize {
    let fields = commit.fields.iter().map(|write| write.name().len() + write.len());
    let outbox = commit.outbox.iter().map(|sent| sent.message.len());
    let reply = commit.outcome.as_ref().and_then(|outcome| outcome.reply.as_ref());
    fields.chain(outbox).chain(reply.map(bytes::Bytes::len)).sum()
}
