//! How jobs get into the file.

use std::collections::HashMap;

use agentscale_core::jobs::{Enqueued, Job, JobId, JobOutcome, JobRetry, JobStart, UniqueUntil};
use agentscale_core::{IdempotencyKey, Result, Tenant};
use sqlx::{Row as _, SqliteConnection};

use super::row::{self, INLINE_BYTES, Stored};
use super::standing::{READY, WAITING};
use crate::checkpoint::stored::{hash, json};
use crate::jobs::{conflict, content_hash};
use crate::sqlite::{Insert, Rows, map_error};

const OPERATION: &str = "enqueue jobs";

static JOBS: Insert = Insert::new(
    "INSERT INTO jobs (seq, id, tenant, queue, kind, payload, priority, state, due, attempts, max_attempts, retry, \
     timeout, trace, unique_key, unique_until, idempotency, incarnation, counter, cancelled, enqueued)",
    21,
    "",
);
static PAYLOADS: Insert = Insert::new("INSERT INTO payloads (seq, payload)", 2, "");
static OUTCOMES: Insert =
    Insert::new("INSERT OR REPLACE INTO outcomes (tenant, key, hash, id, retention)", 5, "");

/// Adds lists of jobs within the transaction that is under way, each list all or none. The outer error ends the
/// transaction.
pub(crate) async fn add(
    connection: &mut SqliteConnection,
    lists: &[&[Job]],
    now: u64,
) -> Result<Vec<Result<Vec<Enqueued>>>> {
    let jobs: Vec<&Job> = lists.iter().copied().flatten().collect();
    let mut known = Known {
        ids: row::by_id(connection, jobs.iter().map(|job| job.id), OPERATION).await?,
        keys: keys(connection, &jobs, now).await?,
        unique: unique(connection, &jobs).await?,
        added: HashMap::new(),
    };
    let mut answers = Vec::with_capacity(lists.len());
    let mut added = Vec::with_capacity(jobs.len());
    for list in lists {
        let answer = known.add_list(list);
        if let Ok(answer) = &answer {
            added.extend(list.iter().zip(answer).filter(|(_, answer)| answer.is_added()).map(|(job, _)| job));
        }
        answers.push(answer);
    }
    insert(connection, &added, now).await?;
    Ok(answers)
}

/// What stands in the way of a job.
struct Known<'a> {
    ids: HashMap<JobId, Stored>,
    keys: HashMap<(&'a Tenant, &'a IdempotencyKey), Recorded>,
    unique: HashMap<(&'a Tenant, &'a str), JobId>,
    added: HashMap<JobId, &'a Job>,
}

struct Recorded {
    id: JobId,
    hash: [u8; 32],
    outcome: Option<JobOutcome>,
}

impl<'a> Known<'a> {
    fn add_list(&mut self, list: &'a [Job]) -> Result<Vec<Enqueued>> {
        let mut answers = Vec::with_capacity(list.len());
        for job in list {
            match self.add_one(job) {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    let before = list.iter().zip(&answers).filter(|(_, answer)| answer.is_added());
                    before.for_each(|(job, _)| self.forget(job));
                    return Err(error);
                }
            }
        }
        Ok(answers)
    }

    fn add_one(&mut self, job: &'a Job) -> Result<Enqueued> {
        let there = self.ids.get(&job.id).map(|stored| &stored.job);
        if let Some(there) = there.or_else(|| self.added.get(&job.id).copied()) {
            return if same_work(there, job) {
                Ok(Enqueued::Exists { id: job.id, outcome: None })
            } else {
                Err(conflict(job.id, "id"))
            };
        }
        let key = job.idempotency.as_ref().map(|idempotency| (&job.tenant, &idempotency.key));
        let hash = key.map(|_| content_hash(job));
        if let Some(recorded) = key.and_then(|key| self.keys.get(&key)) {
            return if Some(recorded.hash) == hash {
                Ok(Enqueued::Exists { id: recorded.id, outcome: recorded.outcome.clone() })
            } else {
                Err(conflict(job.id, "idempotency key"))
            };
        }
        let unique = job.unique.as_ref().map(|unique| (&job.tenant, unique.key.as_str()));
        if let Some(holder) = unique.and_then(|unique| self.unique.get(&unique)) {
            return Ok(Enqueued::Exists { id: *holder, outcome: None });
        }
        if let (Some(key), Some(hash)) = (key, hash) {
            self.keys.insert(key, Recorded { id: job.id, hash, outcome: None });
        }
        if let Some(unique) = unique {
            self.unique.insert(unique, job.id);
        }
        self.added.insert(job.id, job);
        Ok(Enqueued::Added(job.id))
    }

    fn forget(&mut self, job: &'a Job) {
        self.added.remove(&job.id);
        if let Some(idempotency) = &job.idempotency {
            self.keys.remove(&(&job.tenant, &idempotency.key));
        }
        if let Some(unique) = &job.unique {
            self.unique.remove(&(&job.tenant, unique.key.as_str()));
        }
    }
}

fn same_work(one: &Job, other: &Job) -> bool {
    one.tenant == other.tenant
        && one.queue == other.queue
        && one.kind == other.kind
        && one.payload == other.payload
}

/// Idempotency keys of these jobs that are known.
async fn keys<'a>(
    connection: &mut SqliteConnection,
    jobs: &[&'a Job],
    now: u64,
) -> Result<HashMap<(&'a Tenant, &'a IdempotencyKey), Recorded>> {
    let asked: Vec<_> = jobs
        .iter()
        .filter_map(|job| job.idempotency.as_ref().map(|idempotency| (&job.tenant, &idempotency.key)))
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let failed = || map_error(OPERATION);
    let rows = sqlx::query(
        "SELECT k.key, o.id, o.hash, o.outcome, coalesce(o.result, x'') FROM json_each(?1) k CROSS JOIN outcomes o \
         ON o.tenant = (k.value ->> 0) AND o.key = (k.value ->> 1) WHERE o.expires IS NULL OR o.expires > ?2",
    )
    .bind(json(&asked))
    .bind(now.cast_signed())
    .fetch_all(connection)
    .await
    .map_err(failed())?;
    let mut known = HashMap::with_capacity(rows.len());
    for row in rows {
        let place: i64 = row.try_get(0).map_err(failed())?;
        let recorded = Recorded {
            id: JobId(row::uuid(row.try_get(1).map_err(failed())?, OPERATION)?),
            hash: hash(row.try_get(2).map_err(failed())?)?,
            outcome: row::outcome(row.try_get(3).map_err(failed())?, row.try_get(4).map_err(failed())?),
        };
        if let Some(key) = usize::try_from(place).ok().and_then(|place| asked.get(place)) {
            known.insert(*key, recorded);
        }
    }
    Ok(known)
}

/// Unique keys of these jobs that are held.
async fn unique<'a>(
    connection: &mut SqliteConnection,
    jobs: &[&'a Job],
) -> Result<HashMap<(&'a Tenant, &'a str), JobId>> {
    let asked: Vec<_> = jobs
        .iter()
        .filter_map(|job| job.unique.as_ref().map(|unique| (&job.tenant, unique.key.as_str())))
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let failed = || map_error(OPERATION);
    let rows = sqlx::query(
        "SELECT u.key, j.id FROM json_each(?1) u CROSS JOIN jobs j \
         ON j.tenant = (u.value ->> 0) AND j.unique_key = (u.value ->> 1)",
    )
    .bind(json(&asked))
    .fetch_all(connection)
    .await
    .map_err(failed())?;
    let mut held = HashMap::with_capacity(rows.len());
    for row in rows {
        let place: i64 = row.try_get(0).map_err(failed())?;
        let holder = JobId(row::uuid(row.try_get(1).map_err(failed())?, OPERATION)?);
        if let Some(key) = usize::try_from(place).ok().and_then(|place| asked.get(place)) {
            held.insert(*key, holder);
        }
    }
    Ok(held)
}

async fn insert(connection: &mut SqliteConnection, added: &[&Job], now: u64) -> Result<()> {
    if added.is_empty() {
        return Ok(());
    }
    let last: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM jobs")
        .fetch_one(&mut *connection)
        .await
        .map_err(map_error(OPERATION))?;
    let (mut jobs, mut payloads, mut outcomes) =
        (Rows::new(&JOBS), Rows::new(&PAYLOADS), Rows::new(&OUTCOMES));
    for (seq, job) in (last + 1..).zip(added) {
        let id = &job.id.0.as_bytes()[..];
        let inline = job.payload.len() <= INLINE_BYTES;
        let due = due(job.start, now);
        let retry = &job.retry;
        let plain = *retry == JobRetry { max_attempts: retry.max_attempts, ..JobRetry::default() };
        jobs.row()
            .push(seq)
            .push(id)
            .push(job.tenant.as_str())
            .push(job.queue.as_str())
            .push(job.kind.as_str())
            .push(inline.then_some(&job.payload[..]))
            .push(job.priority.rank())
            .push(if due.is_some() { WAITING } else { READY })
            .push(due)
            .push(0)
            .push(retry.max_attempts)
            .push(if plain { None } else { Some(row::encode(retry)?) })
            .push(job.timeout.map(row::micros))
            .push(job.trace.as_ref().map(row::encode).transpose()?)
            .push(job.unique.as_ref().map(|unique| unique.key.as_str()))
            .push(job.unique.as_ref().map(|unique| i64::from(unique.until == UniqueUntil::Begun)))
            .push(job.idempotency.as_ref().map(|idempotency| idempotency.key.as_str()))
            .push(0)
            .push(0)
            .push(false)
            .push(now.cast_signed())
            .end()?;
        if !inline {
            payloads.row().push(seq).push(&job.payload[..]).end()?;
        }
        if let Some(idempotency) = &job.idempotency {
            outcomes
                .row()
                .push(job.tenant.as_str())
                .push(idempotency.key.as_str())
                .push(&content_hash(job)[..])
                .push(id)
                .push(row::micros(idempotency.retention))
                .end()?;
        }
    }
    jobs.insert(connection, OPERATION).await?;
    payloads.insert(connection, OPERATION).await?;
    outcomes.insert(connection, OPERATION).await
}

/// When a job is ready; `None` where it is.
fn due(start: JobStart, now: u64) -> Option<i64> {
    let due = match start {
        JobStart::Now => return None,
        JobStart::After(delay) => now.cast_signed().saturating_add(row::micros(delay)),
        JobStart::At(moment) => moment.cast_signed(),
    };
    (due > now.cast_signed()).then_some(due)
}
