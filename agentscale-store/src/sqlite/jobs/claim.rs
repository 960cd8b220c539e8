//! How jobs are taken, and taken back.

use std::collections::HashSet;

use agentscale_core::jobs::{Cause, ClaimJobs, ClaimedJob, Epoch};
use agentscale_core::{Error, ErrorKind, Priority, Result};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::end::{self, End, Ending};
use super::row::{self, COLUMNS};
use super::standing::{self, READY, RUNNING, STANDING, WAITING};
use crate::checkpoint::stored::{json, limit};
use crate::sqlite::map_error;

const OPERATION: &str = "claim jobs";

/// Of so many jobs one is the oldest whatever its class.
const SHARE: usize = 16;

/// Waits and claims that are ended at once, at most.
const ENDED: u32 = 1_000;

/// How many jobs were taken since the oldest had its share, by queue.
pub(super) type Shares = std::collections::HashMap<String, usize>;

/// Makes due jobs ready, and those whose runs are lost. Says whether there were any.
pub(super) async fn take_back(connection: &mut SqliteConnection, now: u64) -> Result<bool> {
    let due: Option<i64> = sqlx::query_scalar("SELECT due FROM jobs WHERE due <= ?1 LIMIT 1")
        .bind(now.cast_signed())
        .fetch_optional(&mut *connection)
        .await
        .map_err(map_error(OPERATION))?;
    if due.is_none() {
        return Ok(false);
    }
    let text = format!(
        "SELECT {STANDING} FROM jobs WHERE due <= ?1 AND state = {RUNNING} ORDER BY due LIMIT {ENDED}"
    );
    let query = sqlx::query(AssertSqlSafe(text)).bind(now.cast_signed());
    let lost = standing::fetch(connection, query, OPERATION).await?;
    let ends = lost.into_iter().map(|standing| {
        let cause = Cause::lost(standing.worker);
        let last = standing.attempts >= standing.max_attempts;
        let ending = match (standing.cancelled, last) {
            (true, _) => Ending::Cancelled,
            (_, true) => Ending::Dead(cause),
            _ => Ending::Ready { cause: Some(cause), attempts: standing.attempts },
        };
        End { standing, ending }
    });
    end::write(connection, ends.collect(), now).await?;
    sqlx::query(AssertSqlSafe(format!(
        "UPDATE jobs SET state = {READY}, due = NULL WHERE seq IN \
         (SELECT seq FROM jobs WHERE due <= ?1 AND state = {WAITING} ORDER BY due LIMIT {ENDED})"
    )))
    .bind(now.cast_signed())
    .execute(connection)
    .await
    .map_err(map_error(OPERATION))?;
    Ok(true)
}

pub(super) async fn claim(
    connection: &mut SqliteConnection,
    request: &ClaimJobs,
    most: usize,
    shares: &mut Shares,
    now: u64,
) -> Result<Vec<ClaimedJob>> {
    let most = request.limit.min(most);
    let (seqs, shared) = choose(connection, request.queue.as_str(), most, shares).await?;
    if seqs.is_empty() {
        return Ok(Vec::new());
    }
    let epoch = next_epoch(connection).await?;
    let ttl = row::micros(request.ttl);
    let text = format!(
        "UPDATE jobs SET state = {RUNNING}, due = ?2, ttl = ?3, worker = ?4, incarnation = ?5, counter = ?6, \
         attempts = attempts + 1, unique_key = iif(unique_until, NULL, unique_key) \
         WHERE seq IN (SELECT value FROM json_each(?1)) RETURNING {COLUMNS}"
    );
    let query = sqlx::query(AssertSqlSafe(text))
        .bind(json(&seqs))
        .bind(now.cast_signed().saturating_add(ttl))
        .bind(ttl)
        .bind(&request.worker.0.as_bytes()[..])
        .bind(epoch.incarnation)
        .bind(epoch.counter.cast_signed());
    let mut taken = row::fetch(connection, query, OPERATION).await?;
    taken.sort_by_key(|stored| (stored.job.priority, stored.seq));
    shares.insert(request.queue.as_str().to_owned(), shared);
    Ok(taken
        .into_iter()
        .map(|stored| ClaimedJob::new(stored.job, epoch, stored.attempts, stored.enqueued))
        .collect())
}

/// The jobs to take, and how many were taken since the oldest had its share.
async fn choose(
    connection: &mut SqliteConnection,
    queue: &str,
    most: usize,
    shares: &Shares,
) -> Result<(Vec<i64>, usize)> {
    let failed = || map_error(OPERATION);
    let text = format!(
        "SELECT seq, priority FROM jobs WHERE queue = ?1 AND state = {READY} ORDER BY priority, seq LIMIT ?2"
    );
    let rows = sqlx::query(AssertSqlSafe(text))
        .bind(queue)
        .bind(limit(most))
        .fetch_all(&mut *connection)
        .await
        .map_err(failed())?;
    let mut seqs = Vec::with_capacity(rows.len());
    for row in &rows {
        seqs.push(row.try_get::<i64, _>(0).map_err(failed())?);
    }
    let since = shares.get(queue).copied().unwrap_or_default() + seqs.len();
    let share = if seqs.len() == most { since / SHARE } else { 0 };
    if share > 0 {
        let oldest = oldest(connection, queue, share).await?;
        let chosen: HashSet<i64> = oldest.iter().copied().collect();
        seqs.retain(|seq| !chosen.contains(seq));
        seqs.truncate(most.saturating_sub(oldest.len()));
        seqs.extend(oldest);
    }
    Ok((seqs, since % SHARE))
}

/// The oldest jobs of a queue: the oldest of each class, of which the first are taken.
async fn oldest(connection: &mut SqliteConnection, queue: &str, number: usize) -> Result<Vec<i64>> {
    let classes: Vec<_> = Priority::ALL
        .iter()
        .map(|class| {
            format!(
                "SELECT seq FROM (SELECT seq FROM jobs WHERE queue = ?1 AND state = {READY} AND priority = {} \
                 ORDER BY seq LIMIT ?2)",
                class.rank()
            )
        })
        .collect();
    let text = format!("{} ORDER BY seq LIMIT ?2", classes.join(" UNION ALL "));
    sqlx::query_scalar(AssertSqlSafe(text))
        .bind(queue)
        .bind(limit(number))
        .fetch_all(connection)
        .await
        .map_err(map_error(OPERATION))
}

/// One epoch for the jobs of a claim: none of them has had it.
async fn next_epoch(connection: &mut SqliteConnection) -> Result<Epoch> {
    let failed = || map_error(OPERATION);
    let row = sqlx::query("UPDATE numbers SET counter = counter + 1 RETURNING incarnation, counter")
        .fetch_optional(connection)
        .await
        .map_err(failed())?
        .ok_or_else(|| Error::new(ErrorKind::Corrupt, OPERATION).with_context("reason", "no numbers"))?;
    let counter: i64 = row.try_get(1).map_err(failed())?;
    Ok(Epoch { incarnation: row.try_get(0).map_err(failed())?, counter: counter.cast_unsigned() })
}
