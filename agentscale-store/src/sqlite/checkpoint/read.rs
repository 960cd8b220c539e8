//! Statements that read, for the readers and within the writer's transactions alike.

pub(super) mod messages;

use std::collections::BTreeMap;

use agentscale_core::checkpoint::{
    At, Checkpoint, CheckpointInfo, CommitId, Epoch, HistoryRequest, RecordedOutcome, StateHeader, Step,
    ThreadCursor, ThreadInfo, ThreadPage, ThreadQuery, TurnId, Version,
};
use agentscale_core::{AgentId, AgentKey, AgentType, Error, ErrorKind, IdempotencyKey, Result, Stamp};
use bytes::Bytes;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteExecutor};

use crate::checkpoint::stored::{self, hash, limit, parse, uuid};
use crate::sqlite::map_error;

macro_rules! info_columns {
    () => {
        "c.version, c.commit_id, c.incarnation, c.counter, c.codec, c.schema_version, \
         c.stamp_time, c.stamp_node, c.tags, c.origin"
    };
}

pub(super) use info_columns;

/// Reads a checkpoint with the deltas that it builds on, those of other threads first that its base shares: by one
/// statement, and so of one moment.
pub(super) async fn checkpoint(
    executor: impl SqliteExecutor<'_>,
    thread: &AgentId,
    at: At,
) -> Result<Option<Checkpoint>> {
    let failed = || map_error("load checkpoint");
    let version = match at {
        At::Version(version) => Some(version.0.cast_signed()),
        _ => None,
    };
    let rows = sqlx::query(concat!(
        "WITH target AS MATERIALIZED (SELECT c.thread, c.version, c.base FROM threads t \
           JOIN checkpoints c ON c.thread = t.id AND NOT c.ghost \
             AND c.version = coalesce(?4, (SELECT max(version) FROM checkpoints WHERE thread = t.id)) \
           WHERE t.tenant = ?1 AND t.type = ?2 AND t.key = ?3), \
         part AS MATERIALIZED (SELECT s.place, s.source AS thread, s.first, s.last FROM target \
           JOIN checkpoints b ON b.thread = target.thread AND b.version = target.base \
           JOIN shares s ON s.checkpoint = b.id \
           UNION ALL SELECT 1000, thread, base, version FROM target) \
         SELECT ",
        info_columns!(),
        ", c.delta, (SELECT sum(last - first + 1) FROM part) FROM part CROSS JOIN checkpoints c \
         ON c.thread = part.thread AND c.version BETWEEN part.first AND part.last ORDER BY part.place, c.version"
    ))
    .bind(thread.tenant.as_str())
    .bind(thread.agent_type.as_str())
    .bind(thread.key.as_str())
    .bind(version)
    .fetch_all(executor)
    .await
    .map_err(failed())?;
    let Some(last) = rows.last() else { return Ok(None) };
    let corrupt = |error: Error| error.with_context("thread", thread);
    let info = info(last, thread).map_err(corrupt)?;
    let count: i64 = last.try_get(11).map_err(failed())?;
    let deltas = rows.iter().map(|row| row.try_get(10)).collect::<sqlx::Result<_>>().map_err(failed())?;
    stored::checkpoint(info, count, deltas).map(Some)
}

pub(super) async fn history(
    executor: impl SqliteExecutor<'_>,
    request: &HistoryRequest,
) -> Result<Vec<CheckpointInfo>> {
    let thread = &request.thread;
    let before = request.before.map_or(i64::MAX, |version| i64::try_from(version.0).unwrap_or(i64::MAX));
    let rows = sqlx::query(concat!(
        "SELECT ",
        info_columns!(),
        " FROM threads t CROSS JOIN checkpoints c ON c.thread = t.id \
         WHERE t.tenant = ?1 AND t.type = ?2 AND t.key = ?3 AND c.version < ?4 AND NOT c.ghost \
         ORDER BY c.version DESC LIMIT ?5"
    ))
    .bind(thread.tenant.as_str())
    .bind(thread.agent_type.as_str())
    .bind(thread.key.as_str())
    .bind(before)
    .bind(limit(request.limit))
    .fetch_all(executor)
    .await
    .map_err(map_error("list history"))?;
    rows.iter().map(|row| info(row, thread)).collect()
}

pub(super) async fn outcome(
    executor: impl SqliteExecutor<'_>,
    thread: &AgentId,
    key: &IdempotencyKey,
    now: u64,
) -> Result<Option<RecordedOutcome>> {
    let failed = || map_error("read outcome");
    let row = sqlx::query(
        "SELECT o.request_hash, o.retention, o.reply FROM threads t CROSS JOIN outcomes o ON o.thread = t.id \
         WHERE t.tenant = ?1 AND t.type = ?2 AND t.key = ?3 AND o.key = ?4 AND o.until > ?5",
    )
    .bind(thread.tenant.as_str())
    .bind(thread.agent_type.as_str())
    .bind(thread.key.as_str())
    .bind(key.as_str())
    .bind(i64::try_from(now).unwrap_or(i64::MAX))
    .fetch_optional(executor)
    .await
    .map_err(failed())?;
    let Some(row) = row else { return Ok(None) };
    let hash = hash(row.try_get(0).map_err(failed())?)?;
    let reply: Option<Vec<u8>> = row.try_get(2).map_err(failed())?;
    let mut outcome = RecordedOutcome::new(key.clone(), hash, reply.map(Bytes::from));
    let micros: i64 = row.try_get(1).map_err(failed())?;
    outcome.retention = std::time::Duration::from_micros(micros.cast_unsigned());
    Ok(Some(outcome))
}

/// Journaled steps by turn, in the order of their index.
pub(super) async fn steps(
    executor: impl SqliteExecutor<'_>,
    thread: &AgentId,
) -> Result<Vec<(TurnId, Vec<Step>)>> {
    let failed = || map_error("read steps");
    let rows = sqlx::query(
        "SELECT s.turn, s.step, s.request_hash, s.result FROM threads t CROSS JOIN steps s ON s.thread = t.id \
         WHERE t.tenant = ?1 AND t.type = ?2 AND t.key = ?3",
    )
    .bind(thread.tenant.as_str())
    .bind(thread.agent_type.as_str())
    .bind(thread.key.as_str())
    .fetch_all(executor)
    .await
    .map_err(failed())?;
    let mut turns: BTreeMap<TurnId, Vec<Step>> = BTreeMap::new();
    for row in rows {
        let step = Step {
            index: row.try_get(1).map_err(failed())?,
            request_hash: hash(row.try_get(2).map_err(failed())?)?,
            result: row.try_get::<Vec<u8>, _>(3).map_err(failed())?.into(),
        };
        turns.entry(TurnId(row.try_get(0).map_err(failed())?)).or_default().push(step);
    }
    for steps in turns.values_mut() {
        steps.sort_by_key(|step| step.index);
    }
    Ok(turns.into_iter().collect())
}

pub(super) async fn threads(executor: impl SqliteExecutor<'_>, query: &ThreadQuery) -> Result<ThreadPage> {
    let failed = || map_error("list threads");
    let after = query.after.as_ref().map(|cursor| &cursor.0);
    let statement = match query.agent_type {
        Some(_) => THREADS_OF_TYPE,
        None => THREADS,
    };
    let rows = sqlx::query(statement)
        .bind(query.tenant.as_str())
        .bind(after.map_or("", |id| id.agent_type.as_str()))
        .bind(after.map_or("", |id| id.key.as_str()))
        .bind(limit(query.limit).saturating_add(1))
        .bind(query.agent_type.as_ref().map(AgentType::as_str))
        .fetch_all(executor)
        .await
        .map_err(failed())?;
    let more = rows.len() > query.limit;
    let page = rows.iter().take(query.limit).map(|row| thread(row, query)).collect::<Result<Vec<_>>>()?;
    let next = page.last().filter(|_| more).map(|last| ThreadCursor(last.thread.clone()));
    Ok(ThreadPage::new(page, next))
}

macro_rules! threads_statement {
    ($filter:literal) => {
        concat!(
            "SELECT t.type, t.key, t.incarnation, t.counter, c.version, c.stamp_time, c.stamp_node \
             FROM threads t LEFT JOIN checkpoints c ON c.thread = t.id \
               AND c.version = (SELECT max(version) FROM checkpoints WHERE thread = t.id) \
             WHERE t.tenant = ?1 AND (t.type, t.key) > (?2, ?3) AND NOT t.deleted ",
            $filter,
            " ORDER BY t.type, t.key LIMIT ?4"
        )
    };
}

const THREADS: &str = threads_statement!("");
const THREADS_OF_TYPE: &str = threads_statement!("AND t.type = ?5");

/// The numbers of threads, in their order.
pub(super) async fn numbers(
    executor: impl SqliteExecutor<'_>,
    thread: Option<&AgentId>,
    after: i64,
    most: usize,
) -> Result<Vec<i64>> {
    let numbers = match thread {
        Some(thread) => sqlx::query_scalar(
            "SELECT id FROM threads WHERE id > ?1 AND tenant = ?3 AND type = ?4 AND key = ?5 LIMIT ?2",
        )
        .bind(after)
        .bind(limit(most))
        .bind(thread.tenant.as_str())
        .bind(thread.agent_type.as_str())
        .bind(thread.key.as_str()),
        None => sqlx::query_scalar("SELECT id FROM threads WHERE id > ?1 ORDER BY id LIMIT ?2")
            .bind(after)
            .bind(limit(most)),
    };
    numbers.fetch_all(executor).await.map_err(map_error("list threads"))
}

fn thread(row: &SqliteRow, query: &ThreadQuery) -> Result<ThreadInfo> {
    let failed = || map_error("list threads");
    let stored = |error: Error| Error::new(ErrorKind::Corrupt, "list threads").with_source(error);
    let id = AgentId {
        tenant: query.tenant.clone(),
        agent_type: AgentType::new(row.try_get::<&str, _>(0).map_err(failed())?).map_err(stored)?,
        key: AgentKey::new(row.try_get::<&str, _>(1).map_err(failed())?).map_err(stored)?,
    };
    let number = |column: usize| -> Result<u64> {
        let number: Option<i64> = row.try_get(column).map_err(failed())?;
        Ok(number.unwrap_or(0).cast_unsigned())
    };
    let epoch = Epoch { incarnation: row.try_get(2).map_err(failed())?, counter: number(3)? };
    Ok(ThreadInfo::new(id, epoch, Version(number(4)?), Stamp::from_parts(number(5)?, number(6)?)))
}

pub(super) fn info(row: &SqliteRow, thread: &AgentId) -> Result<CheckpointInfo> {
    let failed = || map_error("read checkpoint");
    let number = |column: usize| -> Result<u64> {
        Ok(row.try_get::<i64, _>(column).map_err(failed())?.cast_unsigned())
    };
    let epoch = Epoch { incarnation: row.try_get(2).map_err(failed())?, counter: number(3)? };
    let codec: String = row.try_get(4).map_err(failed())?;
    let header = StateHeader { codec: codec.into(), schema_version: row.try_get(5).map_err(failed())? };
    let id = CommitId(uuid(row.try_get(1).map_err(failed())?)?);
    let stamp = Stamp::from_parts(number(6)?, number(7)?);
    let mut info = CheckpointInfo::new(thread.clone(), Version(number(0)?), id, epoch, header, stamp);
    if let Some(tags) = parse(row.try_get(8).map_err(failed())?)? {
        info = info.with_tags(tags);
    }
    if let Some(origin) = parse(row.try_get(9).map_err(failed())?)? {
        info = info.with_origin(origin);
    }
    Ok(info)
}
