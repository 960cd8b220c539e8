//! Where a commit goes: to the log, which acknowledges it, or to the shared store.

use std::sync::Arc;

use agentscale_core::checkpoint::{Commit, Committed, Durability, LoadRequest, Version};
use agentscale_core::{CheckpointStore, ErrorKind, Result};

use super::LoggedCheckpointStore;
use super::head::Head;
use super::shared::bytes_of;
use super::stats::count;
use super::thread::{Owned, Thread};
use super::writer::Append;

impl<S: CheckpointStore> LoggedCheckpointStore<S> {
    /// Acknowledges by the log where that may be; else gives the commit back.
    pub(super) async fn acknowledge(
        &self,
        thread: &Arc<Thread>,
        mut owned: Owned,
        commit: Commit,
    ) -> Result<std::result::Result<Committed, (Owned, Commit)>> {
        let shared = &self.shared;
        let (epoch, version) = (commit.epoch, Version(commit.expected.0 + 1));
        if !self.may_acknowledge(thread, &owned, &commit) {
            return Ok(Err((owned, commit)));
        }
        thread.unblocked(shared.config.flush_bound).await?;
        let room = shared.room(bytes_of(&commit)).await?;
        // The lease may have ended meanwhile, and the thread may be another's.
        if !self.may_acknowledge(thread, &owned, &commit) {
            return Ok(Err((owned, commit)));
        }
        let mut logged = commit;
        logged.level = Durability::Process;
        let thread_of_entry = thread.clone();
        let appended = shared
            .log
            .append(|answer| Append { commit: logged, room, thread: thread_of_entry, owned, answer })
            .await?;
        if let Err(returned) = appended {
            count(&shared.counters.failed_appends);
            tracing::warn!(error = %returned.error, "log not written, its commits go to the shared store");
            owned = returned.owned;
            return Ok(Err((owned, returned.commit)));
        }
        if shared.is_leased() {
            count(&shared.counters.acknowledged);
            return Ok(Ok(Committed::new(version, Durability::Local)));
        }
        thread.settled(epoch, version).await?;
        Ok(Ok(Committed::new(version, Durability::Process)))
    }

    fn may_acknowledge(&self, thread: &Thread, owned: &Owned, commit: &Commit) -> bool {
        commit.level <= Durability::Local
            && self.shared.outlasts_a_flush()
            && !thread.is_lost(commit.epoch)
            && owned.as_ref().is_some_and(|head| head.vouches_for(commit, &self.shared.limits()))
    }

    /// Commits to the shared store, behind what the thread has in the log.
    pub(super) async fn write_through(
        &self,
        thread: &Thread,
        mut owned: Owned,
        mut commit: Commit,
    ) -> Result<Committed> {
        thread.drained().await?;
        self.shared.tails.sent(commit.settles.as_slice()).await?;
        commit.level = commit.level.max(Durability::Process);
        // Nothing is known of the thread while it is not known what became of the commit.
        let head = owned.take();
        let committed = self.shared.inner.commit(commit.clone()).await;
        *owned = match (head, &committed) {
            (Some(mut head), Ok(_)) if head.epoch == commit.epoch => {
                if head.version == commit.expected {
                    head.advance(&commit);
                }
                Some(head)
            }
            (_, Ok(committed)) => self.learn(&commit, committed.version).await,
            (head, Err(error)) => head.filter(|head| is_untouched(head, &commit, error.kind())),
        };
        count(&self.shared.counters.written_through);
        committed
    }

    /// What is known of a thread whose owner has just committed.
    async fn learn(&self, commit: &Commit, version: Version) -> Option<Head> {
        let tip = self.shared.inner.load(LoadRequest::tip(commit.thread.clone())).await.ok()??;
        (tip.info.version == version && tip.info.id == commit.id).then(|| Head::at(commit.epoch, &tip))
    }
}

/// Whether what was known of a thread still holds after a commit was refused.
fn is_untouched(head: &Head, commit: &Commit, refusal: ErrorKind) -> bool {
    let is_of_another = head.epoch != commit.epoch || head.version != commit.expected;
    match refusal {
        ErrorKind::TooLarge | ErrorKind::InvalidInput | ErrorKind::Unsupported => true,
        ErrorKind::Fenced | ErrorKind::Conflict => is_of_another,
        _ => false,
    }
}
