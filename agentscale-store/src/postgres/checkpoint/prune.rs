//! Removes checkpoints that a policy lets go: listed, then removed a part at a time.
//!
//! What was listed stays true until it is removed, whatever is committed in between: a new commit builds on itself or
//! on what its thread's tip builds on, which stays, and no version of a number is ever used twice.

use std::cmp::Reverse;
use std::collections::HashMap;

use agentscale_core::Result;
use agentscale_core::checkpoint::{PruneRequest, Pruned, RetentionPolicy};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::database::Database;
use super::read;
use super::shared::Shared;
use super::via::Via;
use crate::checkpoint::chains::{Listed, Range, gone, split};
use crate::checkpoint::due::Pruner;
use crate::postgres::{Bound, map_error};

/// Threads that are looked at together, at most.
const TOGETHER: usize = 64;
/// Rows that one transaction removes, at most.
const REMOVED_TOGETHER: usize = 1_000;

impl Pruner for Shared {
    async fn prune(&self, threads: &[i64], policy: &RetentionPolicy) -> Result<()> {
        checkpoints(&self.database, threads, policy, u64::MAX).await.map(drop)
    }

    async fn sweep(&self) -> Result<()> {
        sweep_all(&self.database).await?;
        outcomes(&self.database, None).await.map(drop)
    }
}

pub(super) async fn request(database: &Database, request: PruneRequest) -> Result<Pruned> {
    let mut via = Via::Pool(&database.postgres);
    let mut pruned = Pruned::default();
    let mut after = 0;
    loop {
        let threads = match &request.thread {
            Some(thread) => {
                let number = read::number_of(&mut via, &database.statements, thread).await?;
                number.into_iter().filter(|number| *number > after).collect()
            }
            None => read::numbers(&mut via, &database.statements, after, TOGETHER).await?,
        };
        let Some(last) = threads.last() else { return Ok(pruned) };
        after = *last;
        let limit = (request.limit as u64).saturating_sub(pruned.checkpoints);
        let part = checkpoints(database, &threads, &request.policy, limit).await?;
        pruned.checkpoints += part.checkpoints;
        pruned.outcomes += outcomes(database, Some(&threads)).await?;
        pruned.more |= part.more;
        if pruned.more {
            return Ok(pruned);
        }
    }
}

/// Removes what deleted threads have left, by their old numbers, and what others left that only these shared.
pub(super) async fn sweep(database: &Database, mut lines: Vec<i64>) -> Result<()> {
    let statements = &database.statements;
    while !lines.is_empty() {
        let (lock, bound) = (Bound::new().with(lines.as_slice()), Bound::new().with(lines.as_slice()));
        let rows =
            database.postgres.fetch_locked(&statements.lock_shared, lock, &statements.sweep, bound).await?;
        lines = numbers(&rows)?;
    }
    Ok(())
}

async fn sweep_all(database: &Database) -> Result<()> {
    let mut after = 0;
    loop {
        let bound = Bound::new().with(after).with(TOGETHER as i64);
        let lines = numbers(&database.postgres.fetch(&database.statements.retired, bound).await?)?;
        let Some(last) = lines.last() else { return Ok(()) };
        after = *last;
        sweep(database, lines).await?;
    }
}

/// Prunes threads, of so many checkpoints at most.
async fn checkpoints(
    database: &Database,
    threads: &[i64],
    policy: &RetentionPolicy,
    limit: u64,
) -> Result<Pruned> {
    let now = database.clock.unix_micros();
    let mut pruned = Pruned::default();
    let (mut ghosts, mut free) = (Vec::new(), Vec::new());
    for threads in threads.chunks(TOGETHER) {
        let shared = shared(database, threads).await?;
        for (thread, rows) in list(database, threads).await? {
            let shared = shared.get(&thread).map_or(&[][..], Vec::as_slice);
            let mut gone = gone(&rows, policy, now);
            let left = usize::try_from(limit - pruned.checkpoints).unwrap_or(usize::MAX);
            pruned.more |= gone.len() > left;
            gone.truncate(left);
            pruned.checkpoints += gone.len() as u64;
            split(&rows, shared, &gone, |version| (thread, version), &mut ghosts, &mut free);
        }
    }
    for rows in ghosts.chunks(REMOVED_TOGETHER) {
        database.postgres.fetch(&database.statements.hide, pairs(rows)).await?;
    }
    // Newest first: while some are left, so is all that they build on.
    free.sort_unstable_by_key(|(thread, version)| (*thread, Reverse(*version)));
    for rows in free.chunks(REMOVED_TOGETHER) {
        remove(database, rows).await?;
    }
    Ok(pruned)
}

/// Removes outcomes whose retention has ended, of these threads or of all; how many.
async fn outcomes(database: &Database, threads: Option<&[i64]>) -> Result<u64> {
    let mut via = Via::Pool(&database.postgres);
    let mut removed = 0;
    loop {
        let bound =
            Bound::new().with(database.clock.unix_micros().cast_signed()).with(REMOVED_TOGETHER as i64);
        let rows = match threads {
            Some(threads) => via.fetch(&database.statements.expire_of, bound.with(threads)).await?,
            None => via.fetch(&database.statements.expire, bound).await?,
        };
        removed += rows.len() as u64;
        if rows.len() < REMOVED_TOGETHER {
            return Ok(removed);
        }
    }
}

/// The checkpoints of each thread, newest first, under their versions.
async fn list(database: &Database, threads: &[i64]) -> Result<Vec<(i64, Vec<Listed>)>> {
    let mut via = Via::Pool(&database.postgres);
    let rows = via.fetch(&database.statements.listed, Bound::new().with(threads)).await?;
    let mut listed: Vec<(i64, Vec<Listed>)> = Vec::new();
    for row in rows {
        let failed = || map_error("prune");
        let number = |column: usize| row.try_get::<i64, _>(column).map_err(failed());
        let flag = |column: usize| row.try_get::<bool, _>(column).map(u8::from).map_err(failed());
        let (thread, version) = (number(0)?, number(1)?);
        let entry = (version, version, number(2)?, number(3)?, flag(4)?, flag(5)?);
        match listed.last_mut().filter(|(last, _)| *last == thread) {
            Some((_, rows)) => rows.push(entry),
            None => listed.push((thread, vec![entry])),
        }
    }
    Ok(listed)
}

/// The versions that forks share of threads.
async fn shared(database: &Database, threads: &[i64]) -> Result<HashMap<i64, Vec<Range>>> {
    let rows = database.postgres.fetch(&database.statements.shared, Bound::new().with(threads)).await?;
    let mut shared: HashMap<i64, Vec<Range>> = HashMap::new();
    for row in rows {
        let number = |column: usize| row.try_get::<i64, _>(column).map_err(map_error("prune"));
        shared.entry(number(0)?).or_default().push((number(1)?, number(2)?));
    }
    Ok(shared)
}

/// Removes checkpoints that no fork has come to share, and what only these shared of deleted threads.
async fn remove(database: &Database, rows: &[(i64, i64)]) -> Result<()> {
    let statements = &database.statements;
    let threads: Vec<i64> = rows.iter().map(|(thread, _)| *thread).collect();
    let lock = Bound::new().with(threads);
    let freed = database
        .postgres
        .fetch_locked(&statements.lock_shared, lock, &statements.remove, pairs(rows))
        .await?;
    sweep(database, numbers(&freed)?).await
}

fn pairs(rows: &[(i64, i64)]) -> Bound {
    let (threads, versions): (Vec<i64>, Vec<i64>) = rows.iter().copied().unzip();
    Bound::new().with(threads).with(versions)
}

fn numbers(rows: &[PgRow]) -> Result<Vec<i64>> {
    rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>().map_err(map_error("prune"))
}
