//! Removes checkpoints that a policy lets go: listed, then removed a part at a time, so that no commit waits long.
//!
//! What was listed stays true until it is removed, whatever is committed in between: a new commit builds on itself or
//! on what its thread's tip builds on, which stays, and no row ever gets the id of an earlier one.

use std::cmp::Reverse;

use agentscale_core::checkpoint::{Pruned, RetentionPolicy};
use agentscale_core::{Error, ErrorKind, Result};

use super::Shared;
use super::op::{Removal, Reply, Request};
use crate::checkpoint::chains::{Listed, Range, gone, split};
use crate::checkpoint::due::Pruner;

/// Threads whose checkpoints one transaction lists, at most.
const LISTED_TOGETHER: usize = 64;
/// Rows that one transaction removes, at most.
const REMOVED_TOGETHER: usize = 2_048;
/// Outcomes that one transaction removes, at most.
const EXPIRED_TOGETHER: u32 = 1_000;

impl Pruner for Shared {
    async fn prune(&self, threads: &[i64], policy: &RetentionPolicy) -> Result<()> {
        checkpoints(self, threads, policy, u64::MAX).await.map(drop)
    }

    async fn sweep(&self) -> Result<()> {
        outcomes(self, None).await.map(drop)
    }
}

/// Prunes threads, of so many checkpoints at most.
pub(super) async fn checkpoints(
    store: &Shared,
    threads: &[i64],
    policy: &RetentionPolicy,
    limit: u64,
) -> Result<Pruned> {
    let now = store.clock.unix_micros();
    let mut pruned = Pruned::default();
    let (mut ghosts, mut free) = (Vec::new(), Vec::new());
    for threads in threads.chunks(LISTED_TOGETHER) {
        for (rows, shared) in list(store, threads).await? {
            let mut gone = gone(&rows, policy, now);
            let left = usize::try_from(limit - pruned.checkpoints).unwrap_or(usize::MAX);
            pruned.more |= gone.len() > left;
            gone.truncate(left);
            pruned.checkpoints += gone.len() as u64;
            split(&rows, &shared, &gone, |id| id, &mut ghosts, &mut free);
        }
    }
    remove(store, Removal { ghosts, rows: Vec::new() }).await?;
    // Newest first: while some are left, so is all that they build on. Neighbours share pages of the file, which
    // are freed whole.
    free.sort_unstable_by_key(|id| Reverse(*id));
    for rows in free.chunks(REMOVED_TOGETHER) {
        remove(store, Removal { ghosts: Vec::new(), rows: rows.to_vec() }).await?;
    }
    Ok(pruned)
}

/// Removes outcomes whose retention has ended, of these threads or of all; how many.
pub(super) async fn outcomes(store: &Shared, threads: Option<&[i64]>) -> Result<u64> {
    let mut removed = 0;
    loop {
        let threads = threads.map(<[i64]>::to_vec);
        let reply = store.ask(Request::Expire { threads, most: EXPIRED_TOGETHER }, 0).await?;
        let Reply::Removed(part) = reply else { return Err(Reply::unexpected()) };
        removed += part;
        if part < u64::from(EXPIRED_TOGETHER) {
            return Ok(removed);
        }
    }
}

async fn list(store: &Shared, threads: &[i64]) -> Result<Vec<(Vec<Listed>, Vec<Range>)>> {
    let Reply::Listed(threads) = store.ask(Request::List(threads.to_vec()), 0).await? else {
        return Err(Reply::unexpected());
    };
    let parsed = threads.iter().map(|rows| serde_json::from_str(rows)).collect::<Result<_, _>>();
    parsed.map_err(|error| Error::new(ErrorKind::Internal, "prune").with_source(error))
}

async fn remove(store: &Shared, removal: Removal) -> Result<()> {
    if removal.ghosts.is_empty() && removal.rows.is_empty() {
        return Ok(());
    }
    match store.ask(Request::Remove(Box::new(removal)), 0).await? {
        Reply::Removed(_) => Ok(()),
        _ => Err(Reply::unexpected()),
    }
}
