//! A commit as a row of the log, and back.

use std::time::Duration;

use agentscale_core::checkpoint::{
    Commit, CommitId, Durability, Epoch, OutboxMessage, RecordedOutcome, StateHeader, TurnId, Version,
};
use agentscale_core::{Error, ErrorKind, IdempotencyKey, MessageId, Result, Stamp};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::checkpoint::{codec, stored};
use crate::sqlite::{Insert, Rows, map_error};

pub(super) static INSERT: Insert = Insert::new(
    "INSERT INTO entries (seq, tenant, type, key, incarnation, counter, expected, commit_id, delta, rest, payload)",
    11,
    "",
);

/// The columns that [`read`] takes.
pub(super) const COLUMNS: &str =
    "seq, tenant, type, key, incarnation, counter, expected, commit_id, delta, rest, payload";

/// What has no column of its own; its bytes stand one behind the other in `payload`, the reply first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    header: StateHeader,
    turn: Option<TurnId>,
    tags: Vec<String>,
    stamp: Stamp,
    outcome: Option<Outcome>,
    outbox: Vec<(Uuid, usize)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Outcome {
    key: IdempotencyKey,
    request_hash: [u8; 32],
    reply_bytes: Option<usize>,
    retention: Duration,
}

/// # Errors
/// `internal` for a value that cannot be encoded.
pub(super) fn push(rows: &mut Rows, seq: u64, commit: &Commit) -> Result<()> {
    let outcome = commit.outcome.as_ref().map(|outcome| Outcome {
        key: outcome.key.clone(),
        request_hash: outcome.request_hash,
        reply_bytes: outcome.reply.as_ref().map(Bytes::len),
        retention: outcome.retention,
    });
    let rest = Rest {
        header: commit.header.clone(),
        turn: commit.turn.clone(),
        tags: commit.tags.clone(),
        stamp: commit.stamp,
        outcome,
        outbox: commit.outbox.iter().map(|sent| (*sent.id.as_uuid(), sent.message.len())).collect(),
    };
    let reply = commit.outcome.iter().filter_map(|outcome| outcome.reply.as_ref());
    let payload: Vec<&[u8]> =
        reply.map(AsRef::as_ref).chain(commit.outbox.iter().map(|sent| sent.message.as_ref())).collect();
    rows.row()
        .push(seq.cast_signed())
        .push(commit.thread.tenant.as_str())
        .push(commit.thread.agent_type.as_str())
        .push(commit.thread.key.as_str())
        .push(commit.epoch.incarnation)
        .push(commit.epoch.counter.cast_signed())
        .push(commit.expected.0.cast_signed())
        .push(commit.id.0.as_bytes().as_slice())
        .push(codec::encode(&commit.fields))
        .push(stored::json(&rest))
        .push(payload.concat())
        .end()
}

/// A row as the commit that it was, at the level that the shared store is to reach.
///
/// # Errors
/// `corrupt` for a row that [`push`] did not make.
pub(super) fn read(row: &SqliteRow) -> Result<(u64, Commit)> {
    let failed = || map_error("read log");
    let text = |at: usize| row.try_get::<&str, _>(at).map_err(failed());
    let number = |at: usize| row.try_get::<i64, _>(at).map(i64::cast_unsigned).map_err(failed());
    let blob = |at: usize| row.try_get::<Vec<u8>, _>(at).map_err(failed());
    let thread = stored::agent_id(text(1)?, text(2)?, text(3)?)?;
    let epoch = Epoch { incarnation: row.try_get(4).map_err(failed())?, counter: number(5)? };
    let rest: Rest = stored::parse(Some(text(9)?))?.ok_or_else(corrupt)?;
    let id = CommitId(stored::uuid(&blob(7)?)?);
    let mut commit = Commit::new(id, thread, epoch, Version(number(6)?), rest.header);
    commit.level = Durability::Process;
    commit.fields = codec::decode(blob(8)?)?;
    commit.turn = rest.turn;
    commit.tags = rest.tags;
    commit.stamp = rest.stamp;
    let mut payload = Bytes::from(blob(10)?);
    if let Some(outcome) = rest.outcome {
        let reply = outcome.reply_bytes.map(|length| take(&mut payload, length)).transpose()?;
        let mut recorded = RecordedOutcome::new(outcome.key, outcome.request_hash, reply);
        recorded.retention = outcome.retention;
        commit.outcome = Some(recorded);
    }
    for (id, length) in rest.outbox {
        let message = take(&mut payload, length)?;
        commit.outbox.push(OutboxMessage { id: MessageId::from(id), message });
    }
    if payload.is_empty() { Ok((number(0)?, commit)) } else { Err(corrupt()) }
}

fn take(payload: &mut Bytes, length: usize) -> Result<Bytes> {
    if payload.len() < length { Err(corrupt()) } else { Ok(payload.split_to(length)) }
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "read log")
}
