//! The tail of one thread: what was acknowledged and is not in the shared store yet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentscale_core::checkpoint::{Commit, Epoch, Version};
use agentscale_core::{AgentId, Error, ErrorKind, IdempotencyKey, Result};
use tokio::sync::{Mutex as Turn, Notify, OwnedMutexGuard, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::head::Head;
use super::stats::BlockedThread;

/// Owners of a thread whose commits were left behind, and that are remembered for their barriers.
const LOST_OWNERS: usize = 64;

/// Whoever has it is the one that changes a thread. In it: what is known of the thread, if anything.
pub(super) type Owned = OwnedMutexGuard<Option<Head>>;

#[derive(Debug)]
pub(super) struct Thread {
    id: AgentId,
    turn: Arc<Turn<Option<Head>>>,
    tail: Mutex<Tail>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct Tail {
    entries: VecDeque<Arc<Entry>>,
    is_flushed: bool,
    /// Why the shared store does not take the first entry, once the quick retries are over.
    refused: Option<Error>,
    /// By owner, the newest last. Never forgotten while somebody may ask.
    lost: VecDeque<Lost>,
    /// Nobody flushes any more.
    is_closed: bool,
}

/// A commit in the log.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) commit: Commit,
    pub(super) at: Instant,
    pub(super) room: Room,
}

/// What a commit takes of the bounds of the log. Nothing, where an earlier process left more than they allow.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) _permits: Option<[OwnedSemaphorePermit; 2]>,
    pub(super) bytes: usize,
}

/// From where on the commits of an owner were left behind.
#[derive(Clone, Copy, Debug)]
struct Lost {
    epoch: Epoch,
    from: Version,
}

impl Entry {
    pub(super) fn version(&self) -> Version {
        Version(self.commit.expected.0 + 1)
    }
}

impl Thread {
    pub(super) fn new(id: AgentId) -> Arc<Self> {
        Arc::new(Self { id, turn: Arc::default(), tail: Mutex::default(), moved: Notify::new() })
    }

    pub(super) fn id(&self) -> &AgentId {
        &self.id
    }

    /// Waits for its turn to change the thread.
    pub(super) async fn own(&self) -> Owned {
        self.turn.clone().lock_owned().await
    }

    /// Whether nothing is known of it that could be missed.
    pub(super) fn can_be_forgotten(&self) -> bool {
        let tail = self.tail();
        tail.entries.is_empty() && tail.lost.is_empty()
    }

    /// Adds an acknowledged commit; whether somebody has to begin flushing.
    pub(super) fn push(&self, entry: Entry) -> bool {
        let mut tail = self.tail();
        tail.entries.push_back(Arc::new(entry));
        !std::mem::replace(&mut tail.is_flushed, true)
    }

    /// What is to be flushed next; where there is nothing, the flushing has ended.
    pub(super) fn front(&self) -> Option<Arc<Entry>> {
        let mut tail = self.tail();
        let front = tail.entries.front().cloned();
        tail.is_flushed = front.is_some();
        front
    }

    /// The first entry is in the shared store.
    pub(super) fn flushed(&self) {
        let mut tail = self.tail();
        tail.entries.pop_front();
        tail.refused = None;
        drop(tail);
        self.moved.notify_waiters();
    }

    /// The shared store goes on refusing the first entry; whether this is new.
    pub(super) fn block(&self, error: Error) -> bool {
        self.tail().refused.replace(error).is_none()
    }

    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        self.tail().entries.iter().cloned().collect()
    }

    /// The first entry, and those behind it of the same owner.
    pub(super) fn entries_of_first_owner(&self) -> Vec<Arc<Entry>> {
        let tail = self.tail();
        let Some(owner) = tail.entries.front().map(|first| first.commit.epoch) else { return Vec::new() };
        tail.entries.iter().take_while(|entry| entry.commit.epoch == owner).cloned().collect()
    }

    /// The first so many entries never will be flushed.
    pub(super) fn lose(&self, count: usize) {
        let mut tail = self.tail();
        for entry in tail.entries.drain(..count).collect::<Vec<_>>() {
            let (epoch, from) = (entry.commit.epoch, entry.version());
            if tail.lost.back().is_none_or(|lost| lost.epoch != epoch) {
                tail.lost.push_back(Lost { epoch, from });
            }
        }
        while tail.lost.len() > LOST_OWNERS {
            tail.lost.pop_front();
        }
        tail.refused = None;
        drop(tail);
        self.moved.notify_waiters();
    }

    /// Whether commits of this owner were left behind.
    pub(super) fn is_lost(&self, epoch: Epoch) -> bool {
        self.tail().lost.iter().any(|lost| lost.epoch == epoch)
    }

    /// Whether this commit was acknowledged already and is on its way.
    pub(super) fn holds(&self, commit: &Commit) -> bool {
        let is_it = |entry: &Arc<Entry>| {
            let known = &entry.commit;
            known.id == commit.id && known.epoch == commit.epoch && known.expected == commit.expected
        };
        self.tail().entries.iter().any(is_it)
    }

    /// Whether a result of this key is on its way.
    pub(super) fn holds_outcome(&self, key: &IdempotencyKey) -> bool {
        let outcomes = |entry: &Arc<Entry>| entry.commit.outcome.as_ref().is_some_and(|it| it.key == *key);
        self.tail().entries.iter().any(outcomes)
    }

    /// Why the thread takes no commit before its first entry is flushed: it was refused too often, or is too old.
    pub(super) fn blocked(&self, bound: Duration) -> Option<BlockedThread> {
        let tail = self.tail();
        let first = tail.entries.front().filter(|_| tail.is_blocked(bound))?;
        Some(BlockedThread {
            thread: self.id.clone(),
            commits: tail.entries.len(),
            waited: first.at.elapsed(),
            error: tail.refused.clone(),
        })
    }

    /// What waits stays in the log.
    pub(super) fn close(&self) {
        self.tail().is_closed = true;
        self.moved.notify_waiters();
    }

    /// Waits until all is flushed or lost.
    pub(super) async fn drained(&self) -> Result<()> {
        self.until(|tail| tail.entries.is_empty().then_some(Ok(()))).await
    }

    /// Waits until the next commit can be acknowledged.
    pub(super) async fn unblocked(&self, bound: Duration) -> Result<()> {
        self.until(|tail| (!tail.is_blocked(bound)).then_some(Ok(()))).await
    }

    /// Waits until a commit of `epoch` is flushed or lost.
    pub(super) async fn settled(&self, epoch: Epoch, version: Version) -> Result<()> {
        self.until(|tail| {
            if tail.lost.iter().any(|lost| lost.epoch == epoch && version >= lost.from) {
                return Some(Err(Error::new(ErrorKind::Fenced, "await barrier")
                    .with_context("thread", &self.id)
                    .with_context("version", version.0)
                    .with_context("reason", "left behind in the log by a takeover")));
            }
            let waits = |entry: &Arc<Entry>| entry.commit.epoch == epoch && entry.version() <= version;
            (!tail.entries.iter().any(waits)).then_some(Ok(()))
        })
        .await
    }

    async fn until(&self, reached: impl Fn(&Tail) -> Option<Result<()>>) -> Result<()> {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // From here on no change is missed.
            moved.as_mut().enable();
            if let Some(it) = self.is_reached(&reached) {
                return it;
            }
            moved.await;
        }
    }

    fn is_reached(&self, reached: impl Fn(&Tail) -> Option<Result<()>>) -> Option<Result<()>> {
        let tail = self.tail();
        reached(&tail).or_else(|| tail.is_closed.then(|| Err(closed(&self.id))))
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        // Nothing under the lock panics half way through a change.
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tail {
    fn is_blocked(&self, bound: Duration) -> bool {
        let is_old = |first: &Arc<Entry>| first.at.elapsed() >= bound;
        self.refused.is_some() || self.entries.front().is_some_and(is_old)
    }
}

fn closed(thread: &AgentId) -> Error {
    Error::new(ErrorKind::Unavailable, "await flush")
        .with_context("thread", thread)
        .with_context("reason", "closed, its commits wait in the log")
}

#[cfg(test)]
mod tests {
    use agentscale_core::checkpoint::{CommitId, StateHeader};
    use agentscale_core::{MessageId, Tenant};
    use tokio::sync::oneshot;

    use super::*;

    /// Also where that is between a look at the first entry and the wait for the next one, on another processor.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_commit_that_waits_while_the_last_entry_is_flushed_goes_on() {
        let id = AgentId::new(&Tenant::new("acme").unwrap(), "note", "a").unwrap();
        let commit = CommitId(*MessageId::new(1).as_uuid());
        let commit = Commit::new(commit, id.clone(), Epoch::default(), Version(0), StateHeader::json(1));
        for round in 0..20_000 {
            let thread = Thread::new(id.clone());
            thread.push(Entry { seq: 1, commit: commit.clone(), at: Instant::now(), room: Room::default() });
            thread.block(Error::new(ErrorKind::Unavailable, "flush log"));
            let (flusher, (ready, begun)) = (thread.clone(), oneshot::channel());
            let flushed = tokio::spawn(async move {
                let _ = ready.send(());
                spin(round % 100);
                flusher.flushed();
            });
            begun.await.unwrap();
            let waited = tokio::time::timeout(Duration::from_secs(5), thread.unblocked(Duration::MAX));
            waited.await.expect("nobody is left waiting").unwrap();
            flushed.await.unwrap();
        }
    }

    fn spin(times: u32) {
        (0..times * 20).for_each(|_| std::hint::spin_loop());
    }
}
