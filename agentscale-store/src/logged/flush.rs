//! Brings what the log has acknowledged to the shared store: each thread in order, beside one another.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use agentscale_core::checkpoint::{Commit, HistoryRequest, Version};
use agentscale_core::layers::{Component, RetryPolicy};
use agentscale_core::{CheckpointStore, Error, ErrorKind, Result, Retry};
use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::shared::Shared;
use super::stats::count;
use super::thread::{Entry, Thread};

/// How long removals wait for company at most.
const TRIMMED_AFTER: Duration = Duration::from_secs(1);

/// What became of a commit.
enum Flushed {
    /// It is in the shared store.
    Stands,
    /// Another owner took the thread over before.
    LeftBehind(Error),
}

/// Starts a task for each thread with a tail, until it is aborted: then the tasks are, too.
pub(super) async fn run<S: CheckpointStore>(shared: Arc<Shared<S>>) {
    let mut tasks = JoinSet::new();
    loop {
        while let Some(thread) = shared.tails.pop() {
            tasks.spawn(flush(shared.clone(), thread));
        }
        tokio::select! {
            () = shared.tails.arrived.notified() => {}
            // They end without an answer.
            Some(_) = tasks.join_next() => {}
            () = sleep(TRIMMED_AFTER), if shared.log.has_flushed() => {
                if let Err(error) = shared.log.trim().await {
                    tracing::warn!(%error, "log not trimmed");
                }
            }
        }
    }
}

async fn flush<S: CheckpointStore>(shared: Arc<Shared<S>>, thread: Arc<Thread>) {
    while let Some(entry) = thread.front() {
        match bring(&shared, &thread, &entry).await {
            Flushed::Stands => {
                shared.log.remove(entry.seq);
                count(&shared.counters.flushed);
                thread.flushed();
                shared.tails.ended(&entry.commit);
            }
            Flushed::LeftBehind(error) => leave_behind(&shared, &thread, &error).await,
        }
    }
}

/// Tries until the shared store has the commit, or never will.
async fn bring<S: CheckpointStore>(shared: &Shared<S>, thread: &Thread, entry: &Entry) -> Flushed {
    let retry = Component::Checkpoint.retry();
    let policy = RetryPolicy::new(retry.clone());
    let mut retries = 0;
    loop {
        let error = match attempt(shared, &entry.commit).await {
            Ok(flushed) => return flushed,
            Err(error) => error,
        };
        count(&shared.counters.failed_flushes);
        // What no quick retry will change is waited for.
        let is_over = retries >= retry.max_retries || error.retry() != Retry::Later;
        let wait = if is_over {
            if thread.block(error.clone()) {
                tracing::error!(thread = %thread.id(), %error, "agent waits, as its acknowledged commit is not taken");
            }
            shared.config.blocked_pause
        } else {
            policy.delay(retries)
        };
        retries += 1;
        sleep(wait).await;
    }
}

async fn attempt<S: CheckpointStore>(shared: &Shared<S>, commit: &Commit) -> Result<Flushed> {
    let Ok(_flight) = shared.flights.acquire().await else { return std::future::pending().await };
    let limit = shared.config.flush_timeout;
    let late = || Error::new(ErrorKind::Unavailable, "flush log").with_context("limit", format!("{limit:?}"));
    let panicked = || Error::new(ErrorKind::Internal, "flush log").with_context("reason", "panic");
    let committed = AssertUnwindSafe(shared.inner.commit(commit.clone())).catch_unwind();
    let committed = timeout(limit, committed).await.map_err(|_| late())?;
    match committed.unwrap_or_else(|_| Err(panicked())) {
        Ok(_) => Ok(Flushed::Stands),
        Err(error) if is_refusal(&error) => {
            // A commit whose answer was lost may stand all the same.
            let stands = timeout(limit, stands(shared, commit)).await.map_err(|_| late())??;
            Ok(if stands { Flushed::Stands } else { Flushed::LeftBehind(error) })
        }
        Err(error) => Err(error),
    }
}

/// Whether a store says that it will never take a commit. A conflict that passes, such as a deadlock, does not.
fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Conflict) && error.retry() != Retry::Later
}

/// Whether the shared store has this commit, under whatever it has got since.
async fn stands<S: CheckpointStore>(shared: &Shared<S>, commit: &Commit) -> Result<bool> {
    let thread = &commit.thread;
    let version = Version(commit.expected.0 + 1);
    if let Some(info) = shared.info(thread, version).await? {
        return Ok(info.id == commit.id && info.epoch == commit.epoch);
    }
    // It was pruned, or never was. Where its owner's commits went on behind it, it was: they go in order.
    let tip = shared.inner.history(HistoryRequest::new(thread.clone(), 1)).await?.pop();
    Ok(tip.is_some_and(|tip| tip.epoch == commit.epoch && tip.version > version))
}

async fn leave_behind<S: CheckpointStore>(shared: &Shared<S>, thread: &Thread, error: &Error) {
    // A log that is replayed may hold commits of later owners behind, which nobody has overtaken.
    let entries = thread.entries_of_first_owner();
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return };
    tracing::error!(
        thread = %thread.id(),
        commits = entries.len(),
        first = first.version().0,
        last = last.version().0,
        %error,
        "acknowledged commits are left behind, as another owner took the thread over"
    );
    if let Err(error) = shared.log.orphan(entries.iter().map(|entry| entry.seq).collect()).await {
        // They are found to be left behind again at the next start.
        tracing::warn!(%error, thread = %thread.id(), "orphans not marked in the log");
    }
    shared.counters.orphaned.fetch_add(entries.len() as u64, Ordering::Relaxed);
    thread.lose(entries.len());
    entries.iter().for_each(|entry| shared.tails.ended(&entry.commit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_that_passes_leaves_no_commit_behind() {
        let error = |kind| Error::new(kind, "commit");
        assert!(is_refusal(&error(ErrorKind::Fenced)) && is_refusal(&error(ErrorKind::Conflict)));
        assert!(!is_refusal(&error(ErrorKind::Conflict).with_retry(Retry::Later)));
        assert!(!is_refusal(&error(ErrorKind::Unavailable)));
    }
}
