//! What is known of jobs.

use std::time::Duration;

use agentscale_core::jobs::{
    Cause, DeadJob, DeadJobCursor, DeadJobPage, DeadJobQuery, JobId, JobInfo, QueueCounts, QueueName,
    RecordedJob,
};
use agentscale_core::{IdempotencyKey, Result, Tenant};
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::row::{self, COLUMNS};
use super::standing::{DEAD, READY, WAITING, job_state};
use crate::checkpoint::stored::{json, limit};
use crate::jobs::not_found;
use crate::sqlite::map_error;

pub(super) async fn job(connection: &mut SqliteConnection, tenant: &Tenant, id: JobId) -> Result<JobInfo> {
    let operation = "read job";
    let found = row::by_id(connection, [id], operation).await?.remove(&id);
    let stored =
        found.filter(|stored| stored.job.tenant == *tenant).ok_or_else(|| not_found(operation, id))?;
    let info = JobInfo::new(stored.job, job_state(stored.state), stored.attempts, stored.enqueued);
    Ok(info.with_cause(stored.cause))
}

pub(super) async fn outcome(
    connection: &mut SqliteConnection,
    tenant: &Tenant,
    key: &IdempotencyKey,
    now: u64,
) -> Result<Option<RecordedJob>> {
    let operation = "read outcome of job";
    let failed = || map_error(operation);
    let row = sqlx::query(
        "SELECT id, outcome, coalesce(result, x'') FROM outcomes \
         WHERE tenant = ?1 AND key = ?2 AND (expires IS NULL OR expires > ?3)",
    )
    .bind(tenant.as_str())
    .bind(key.as_str())
    .bind(now.cast_signed())
    .fetch_optional(connection)
    .await
    .map_err(failed())?;
    let Some(row) = row else { return Ok(None) };
    let id = JobId(row::uuid(row.try_get(0).map_err(failed())?, operation)?);
    let outcome = row::outcome(row.try_get(1).map_err(failed())?, row.try_get(2).map_err(failed())?);
    Ok(Some(RecordedJob::new(id, outcome)))
}

pub(super) async fn counts(
    connection: &mut SqliteConnection,
    queues: &[QueueName],
    now: u64,
) -> Result<Vec<QueueCounts>> {
    let failed = || map_error("count jobs");
    let mut counts: Vec<_> = queues.iter().cloned().map(QueueCounts::new).collect();
    let names: Vec<&str> = queues.iter().map(QueueName::as_str).collect();
    // Those that are ready, the most, are counted in their index alone.
    let text = format!(
        "SELECT q.key, {READY}, (SELECT count(*) FROM jobs WHERE queue = q.value AND state = {READY}), \
           (SELECT enqueued FROM jobs WHERE seq = (SELECT min(seq) FROM jobs WHERE queue = q.value AND state = {READY})) \
         FROM json_each(?1) q \
         UNION ALL SELECT q.key, j.state, count(*), NULL FROM jobs j JOIN json_each(?1) q ON q.value = j.queue \
           WHERE j.due IS NOT NULL GROUP BY q.key, j.state \
         UNION ALL SELECT q.key, j.state, count(*), NULL FROM jobs j JOIN json_each(?1) q ON q.value = j.queue \
           WHERE j.letter IS NOT NULL GROUP BY q.key, j.state"
    );
    let rows =
        sqlx::query(AssertSqlSafe(text)).bind(json(&names)).fetch_all(connection).await.map_err(failed())?;
    for row in rows {
        let place: i64 = row.try_get(0).map_err(failed())?;
        let Some(counts) = usize::try_from(place).ok().and_then(|place| counts.get_mut(place)) else {
            continue;
        };
        let state: i64 = row.try_get(1).map_err(failed())?;
        let number = row.try_get::<i64, _>(2).map_err(failed())?.cast_unsigned();
        match state {
            READY => {
                let oldest: Option<i64> = row.try_get(3).map_err(failed())?;
                counts.ready = number;
                counts.oldest_ready =
                    oldest.map(|oldest| Duration::from_micros(now.saturating_sub(oldest.cast_unsigned())));
            }
            DEAD => counts.dead = number,
            WAITING => counts.waiting = number,
            _ => counts.running = number,
        }
    }
    Ok(counts)
}

pub(super) async fn dead(connection: &mut SqliteConnection, query: &DeadJobQuery) -> Result<DeadJobPage> {
    let most = query.limit.max(1);
    let text = format!(
        "SELECT {COLUMNS} FROM jobs WHERE letter > ?1 AND (?2 IS NULL OR tenant = ?2) AND (?3 IS NULL OR queue = ?3) \
         ORDER BY letter LIMIT ?4"
    );
    let asked = sqlx::query(AssertSqlSafe(text))
        .bind(query.after.map_or(0, |cursor| cursor.0))
        .bind(query.tenant.as_ref().map(Tenant::as_str))
        .bind(query.queue.as_ref().map(QueueName::as_str))
        .bind(limit(most.saturating_add(1)));
    let mut found = row::fetch(connection, asked, "list dead jobs").await?;
    let more = found.len() > most;
    found.truncate(most);
    let next = found.last().and_then(|last| last.letter).filter(|_| more).map(DeadJobCursor);
    let dead = found.into_iter().map(|stored| {
        let cause = stored.cause.unwrap_or_else(|| Cause::new("unknown"));
        DeadJob::new(stored.job, cause, stored.attempts, stored.died)
    });
    Ok(DeadJobPage::new(dead.collect(), next))
}
