//! What is read, each by one statement and so of one moment.

pub(super) mod messages;

use std::collections::BTreeMap;
use std::time::Duration;

use agentscale_core::checkpoint::{
    At, Checkpoint, CheckpointInfo, CommitId, Epoch, HistoryRequest, RecordedOutcome, StateHeader, Step,
    ThreadCursor, ThreadInfo, ThreadPage, ThreadQuery, TurnId, Version,
};
use agentscale_core::{AgentId, AgentType, Error, ErrorKind, IdempotencyKey, Result, Stamp};
use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::statements::Statements;
use super::via::Via;
use crate::checkpoint::stored::{self, agent_id, hash, limit, parse};
use crate::postgres::{Bound, map_error};

/// The arguments that name a thread.
pub(super) fn named(thread: &AgentId) -> Bound {
    Bound::new().with(thread.tenant.as_str()).with(thread.agent_type.as_str()).with(thread.key.as_str())
}

/// A checkpoint with the deltas that it builds on.
pub(super) async fn checkpoint(
    via: &mut Via<'_>,
    statements: &Statements,
    thread: &AgentId,
    at: At,
) -> Result<Option<Checkpoint>> {
    let failed = || map_error("load checkpoint");
    let version = match at {
        At::Version(version) => Some(version.0.cast_signed()),
        _ => None,
    };
    let rows = via.fetch(&statements.load, named(thread).with(version)).await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let info = info(last, thread)?;
    let count: i64 = last.try_get(11).map_err(failed())?;
    let deltas = rows.iter().map(|row| row.try_get(10)).collect::<sqlx::Result<_>>().map_err(failed())?;
    stored::checkpoint(info, count, deltas).map(Some)
}

pub(super) async fn history(
    via: &mut Via<'_>,
    statements: &Statements,
    request: &HistoryRequest,
) -> Result<Vec<CheckpointInfo>> {
    let before = request.before.map_or(i64::MAX, |version| i64::try_from(version.0).unwrap_or(i64::MAX));
    let bound = named(&request.thread).with(before).with(limit(request.limit));
    let rows = via.fetch(&statements.history, bound).await?;
    rows.iter().map(|row| info(row, &request.thread)).collect()
}

pub(super) async fn outcome(
    via: &mut Via<'_>,
    statements: &Statements,
    thread: &AgentId,
    key: &IdempotencyKey,
    now: u64,
) -> Result<Option<RecordedOutcome>> {
    let failed = || map_error("read outcome");
    let bound = named(thread).with(key.as_str()).with(i64::try_from(now).unwrap_or(i64::MAX));
    let rows = via.fetch(&statements.outcome, bound).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let hash = hash(row.try_get(0).map_err(failed())?)?;
    let reply: Option<Vec<u8>> = row.try_get(2).map_err(failed())?;
    let mut outcome = RecordedOutcome::new(key.clone(), hash, reply.map(Bytes::from));
    let micros: i64 = row.try_get(1).map_err(failed())?;
    outcome.retention = Duration::from_micros(micros.cast_unsigned());
    Ok(Some(outcome))
}

/// Journaled steps by turn, in the order of their index.
pub(super) async fn journal(
    via: &mut Via<'_>,
    statements: &Statements,
    thread: &AgentId,
) -> Result<Vec<(TurnId, Vec<Step>)>> {
    let failed = || map_error("read steps");
    let rows = via.fetch(&statements.journal, named(thread)).await?;
    let mut turns: BTreeMap<TurnId, Vec<Step>> = BTreeMap::new();
    for row in rows {
        let step = Step {
            index: number(&row, 1).map_err(failed())?,
            request_hash: hash(row.try_get(2).map_err(failed())?)?,
            result: row.try_get::<Vec<u8>, _>(3).map_err(failed())?.into(),
        };
        turns.entry(TurnId(row.try_get(0).map_err(failed())?)).or_default().push(step);
    }
    Ok(turns.into_iter().collect())
}

pub(super) async fn threads(
    via: &mut Via<'_>,
    statements: &Statements,
    query: &ThreadQuery,
) -> Result<ThreadPage> {
    let after = query.after.as_ref().map(|cursor| &cursor.0);
    let bound = Bound::new()
        .with(query.tenant.as_str())
        .with(after.map_or("", |id| id.agent_type.as_str()))
        .with(after.map_or("", |id| id.key.as_str()))
        .with(limit(query.limit).saturating_add(1))
        .with(query.agent_type.as_ref().map(AgentType::as_str));
    let rows = via.fetch(&statements.threads, bound).await?;
    let more = rows.len() > query.limit;
    let page = rows.iter().take(query.limit).map(|row| thread(row, query)).collect::<Result<Vec<_>>>()?;
    let next = page.last().filter(|_| more).map(|last| ThreadCursor(last.thread.clone()));
    Ok(ThreadPage::new(page, next))
}

/// The numbers of threads, in their order.
pub(super) async fn numbers(
    via: &mut Via<'_>,
    statements: &Statements,
    after: i64,
    most: usize,
) -> Result<Vec<i64>> {
    let rows = via.fetch(&statements.numbers, Bound::new().with(after).with(limit(most))).await?;
    rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>().map_err(map_error("list threads"))
}

/// The number of a thread, where it exists.
pub(super) async fn number_of(
    via: &mut Via<'_>,
    statements: &Statements,
    thread: &AgentId,
) -> Result<Option<i64>> {
    let rows = via.fetch(&statements.number, named(thread)).await?;
    rows.first().map(|row| row.try_get(0)).transpose().map_err(map_error("list threads"))
}

/// The epoch in these two columns.
pub(super) fn epoch(row: &PgRow, incarnation: usize, counter: usize) -> sqlx::Result<Epoch> {
    let count: i64 = row.try_get(counter)?;
    Ok(Epoch { incarnation: number(row, incarnation)?, counter: count.cast_unsigned() })
}

/// A column that holds no more than 32 bits without a sign.
pub(super) fn number(row: &PgRow, column: usize) -> sqlx::Result<u32> {
    let number: i64 = row.try_get(column)?;
    u32::try_from(number).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

fn thread(row: &PgRow, query: &ThreadQuery) -> Result<ThreadInfo> {
    let failed = || map_error("list threads");
    let name = |column: usize| row.try_get::<&str, _>(column).map_err(failed());
    let id = agent_id(query.tenant.as_str(), name(0)?, name(1)?)?;
    let large = |column: usize| -> Result<u64> {
        let number: Option<i64> = row.try_get(column).map_err(failed())?;
        Ok(number.unwrap_or(0).cast_unsigned())
    };
    let epoch = epoch(row, 2, 3).map_err(failed())?;
    Ok(ThreadInfo::new(id, epoch, Version(large(4)?), Stamp::from_parts(large(5)?, large(6)?)))
}

pub(super) fn info(row: &PgRow, thread: &AgentId) -> Result<CheckpointInfo> {
    let failed = || map_error("read checkpoint");
    let corrupt = || Error::new(ErrorKind::Corrupt, "read checkpoint").with_context("thread", thread);
    let large = |column: usize| -> Result<u64> {
        Ok(row.try_get::<i64, _>(column).map_err(failed())?.cast_unsigned())
    };
    let codec: String = row.try_get(4).map_err(failed())?;
    let schema_version = number(row, 5).map_err(|error| corrupt().with_source(error))?;
    let header = StateHeader { codec: codec.into(), schema_version };
    let id = CommitId(row.try_get(1).map_err(failed())?);
    let stamp = Stamp::from_parts(large(6)?, large(7)?);
    let epoch = epoch(row, 2, 3).map_err(failed())?;
    let mut info = CheckpointInfo::new(thread.clone(), Version(large(0)?), id, epoch, header, stamp);
    if let Some(tags) = parse(row.try_get(8).map_err(failed())?)? {
        info = info.with_tags(tags);
    }
    if let Some(origin) = parse(row.try_get(9).map_err(failed())?)? {
        info = info.with_origin(origin);
    }
    Ok(info)
}
