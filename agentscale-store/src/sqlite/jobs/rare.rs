//! What seldom happens to jobs.

use agentscale_core::jobs::{Heartbeat, HeartbeatAnswer, JobId, JobState, Maintained};
use agentscale_core::{Result, Tenant};
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::end::{self, End, Ending};
use super::row;
use super::standing::{self, DEAD, READY, RUNNING, Standing};
use crate::checkpoint::stored::{json, limit};
use crate::jobs::not_found;
use crate::sqlite::map_error;

/// Gives runs their time anew.
pub(super) async fn heartbeat(
    connection: &mut SqliteConnection,
    heartbeat: &Heartbeat,
    now: u64,
) -> Result<HeartbeatAnswer> {
    let operation = "renew claims";
    let ids = heartbeat.runs.iter().map(|run| run.id);
    let known = standing::by_id(connection, ids, operation).await?;
    let mut answer = HeartbeatAnswer::default();
    let mut seqs = Vec::with_capacity(heartbeat.runs.len());
    for run in &heartbeat.runs {
        match known.get(&run.id).filter(|standing| standing.is_under_way(*run)) {
            Some(standing) => {
                seqs.push(standing.seq);
                if standing.cancelled {
                    answer.cancelled.push(*run);
                }
            }
            None => answer.lost.push(*run),
        }
    }
    if seqs.is_empty() {
        return Ok(answer);
    }
    let ttl = row::micros(heartbeat.ttl);
    sqlx::query("UPDATE jobs SET due = ?2, ttl = ?3 WHERE seq IN (SELECT value FROM json_each(?1))")
        .bind(json(&seqs))
        .bind(now.cast_signed().saturating_add(ttl))
        .bind(ttl)
        .execute(connection)
        .await
        .map_err(map_error(operation))?;
    Ok(answer)
}

/// Ends a job that nobody runs, or marks it.
pub(super) async fn cancel(
    connection: &mut SqliteConnection,
    tenant: &Tenant,
    id: JobId,
    now: u64,
) -> Result<Result<JobState>> {
    let operation = "cancel job";
    let found = standing::by_id(connection, [id], operation).await?.remove(&id);
    let Some(standing) = found.filter(|standing| standing.tenant == tenant.as_str()) else {
        return Ok(Err(not_found(operation, id)));
    };
    match standing.state {
        DEAD => Ok(Ok(JobState::Dead)),
        RUNNING => {
            sqlx::query("UPDATE jobs SET cancelled = 1 WHERE seq = ?1")
                .bind(standing.seq)
                .execute(connection)
                .await
                .map_err(map_error(operation))?;
            Ok(Ok(JobState::Running))
        }
        _ => {
            end::write(connection, vec![End { standing, ending: Ending::Cancelled }], now).await?;
            Ok(Ok(JobState::Cancelled))
        }
    }
}

/// Makes dead jobs ready.
pub(super) async fn redrive(
    connection: &mut SqliteConnection,
    tenant: &Tenant,
    ids: &[JobId],
) -> Result<Vec<JobId>> {
    let operation = "redrive jobs";
    let dead = dead(connection, tenant, ids, operation).await?;
    let seqs = json(&dead.iter().map(|standing| standing.seq).collect::<Vec<_>>());
    for statement in [
        "UPDATE outcomes SET outcome = NULL, result = NULL, expires = NULL FROM jobs j \
         WHERE j.seq IN (SELECT value FROM json_each(?1)) AND outcomes.tenant = j.tenant \
         AND outcomes.key = j.idempotency AND outcomes.id = j.id"
            .to_owned(),
        format!(
            "UPDATE jobs SET state = {READY}, attempts = 0, cause = NULL, letter = NULL, died = NULL \
             WHERE seq IN (SELECT value FROM json_each(?1))"
        ),
    ] {
        sqlx::query(AssertSqlSafe(statement))
            .bind(&seqs)
            .execute(&mut *connection)
            .await
            .map_err(map_error(operation))?;
    }
    Ok(dead.into_iter().map(|standing| standing.id).collect())
}

/// Removes dead jobs.
pub(super) async fn discard(
    connection: &mut SqliteConnection,
    tenant: &Tenant,
    ids: &[JobId],
) -> Result<Vec<JobId>> {
    let dead = dead(connection, tenant, ids, "discard jobs").await?;
    end::remove(connection, &dead.iter().collect::<Vec<_>>()).await?;
    Ok(dead.into_iter().map(|standing| standing.id).collect())
}

/// Those of these jobs that are dead, in the order of their names.
async fn dead(
    connection: &mut SqliteConnection,
    tenant: &Tenant,
    ids: &[JobId],
    operation: &'static str,
) -> Result<Vec<Standing>> {
    let mut found = standing::by_id(connection, ids.iter().copied(), operation).await?;
    let named = ids.iter().filter_map(|id| found.remove(id));
    Ok(named.filter(|standing| standing.state == DEAD && standing.tenant == tenant.as_str()).collect())
}

/// Forgets outcomes whose time is over.
pub(super) async fn maintain(connection: &mut SqliteConnection, most: usize, now: u64) -> Result<Maintained> {
    let most = most.max(1);
    let removed = sqlx::query(
        "DELETE FROM outcomes WHERE (tenant, key) IN \
         (SELECT tenant, key FROM outcomes WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
    )
    .bind(now.cast_signed())
    .bind(limit(most))
    .execute(connection)
    .await
    .map_err(map_error("maintain jobs"))?
    .rows_affected();
    Ok(Maintained::new(removed, removed >= most as u64))
}

/// Lets no claim end later than its time from now, as one would after the clock stepped back.
pub(super) async fn shorten(connection: &mut SqliteConnection, now: u64) -> Result<()> {
    sqlx::query(AssertSqlSafe(format!(
        "UPDATE jobs SET due = ?1 + ttl WHERE state = {RUNNING} AND due > ?1 + ttl"
    )))
    .bind(now.cast_signed())
    .execute(connection)
    .await
    .map_err(map_error("shorten claims"))?;
    Ok(())
}
