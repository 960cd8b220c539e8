//! Operations that come seldom: each runs its own statements within the transaction of its batch.

use std::collections::BTreeSet;

use agentscale_core::checkpoint::{
    Attempted, CheckpointInfo, CheckpointOrigin, Commit, CommitId, DeadLetter, DeleteRequest, ForkRequest,
    OutboxEntry, OutboxMessage, Pruned, RetentionPolicy, Version,
};
use agentscale_core::{Error, ErrorKind, MessageId, Result};
use sqlx::{Row, SqliteConnection};

use super::names::Names;
use super::op::{PruneThreads, Reply, Request};
use super::segment::{self, Segment};
use super::tips::{Tip, json};
use super::writer::{CheckpointWriter, Outcome};
use super::{codec, read};
use crate::memory::{fenced, fork_error};
use crate::retention::{Candidate, leaving};
use crate::sqlite::map_error;

/// Outcomes that one transaction removes, at most.
const EXPIRED_TOGETHER: u32 = 1_000;

pub(super) async fn apply(writer: &mut CheckpointWriter, request: Request, segment: &mut Segment) -> Outcome {
    match request {
        Request::Attempt(id) => attempt(&mut writer.connection, id).await.map(Ok),
        Request::Bury(letter) => bury(&mut writer.connection, *letter).await.map(Ok),
        Request::Redrive(ids) => redrive(&mut writer.connection, ids).await.map(Ok),
        Request::Fork(fork) => start_fork(writer, *fork, segment).await,
        Request::Delete(request) => delete(writer, *request, segment).await,
        Request::Prune(request) => prune(writer, *request).await.map(Ok),
        Request::Expire => expire(writer).await.map(Ok),
        Request::Claim(_)
        | Request::Commit(_)
        | Request::Steps(_)
        | Request::Settle(_)
        | Request::Barrier => Ok(Err(Reply::unexpected())),
    }
}

async fn attempt(connection: &mut SqliteConnection, id: MessageId) -> Result<Reply> {
    let attempts: Option<u32> =
        sqlx::query_scalar("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?1 RETURNING attempts")
            .bind(id.as_uuid().as_bytes().as_slice())
            .fetch_optional(connection)
            .await
            .map_err(map_error("record attempt"))?;
    Ok(Reply::Attempted(attempts.map(|attempts| Attempted { attempts })))
}

async fn bury(connection: &mut SqliteConnection, letter: DeadLetter) -> Result<Reply> {
    let failed = || map_error("bury message");
    let id = letter.message.id.as_uuid().as_bytes().as_slice();
    sqlx::query("DELETE FROM outbox WHERE id = ?1")
        .bind(id)
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
    sqlx::query(
        "INSERT INTO dead_letters (id, tenant, type, key, attempts, cause, message) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
    )
    .bind(id)
    .bind(letter.from.tenant.as_str())
    .bind(letter.from.agent_type.as_str())
    .bind(letter.from.key.as_str())
    .bind(letter.attempts)
    .bind(letter.cause)
    .bind(Vec::from(letter.message.message))
    .execute(connection)
    .await
    .map_err(failed())?;
    Ok(Reply::Done)
}

/// The sender gets a thread where it has none, so that the outbox can name it.
async fn redrive(connection: &mut SqliteConnection, ids: Vec<MessageId>) -> Result<Reply> {
    let failed = || map_error("redrive messages");
    let mut entries = Vec::new();
    for id in ids {
        let uuid = id.as_uuid().as_bytes().as_slice();
        let letter =
            sqlx::query("DELETE FROM dead_letters WHERE id = ?1 RETURNING tenant, type, key, message")
                .bind(uuid)
                .fetch_optional(&mut *connection)
                .await
                .map_err(failed())?;
        let Some(letter) = letter else { continue };
        let column = |place: usize| letter.try_get::<&str, _>(place).map_err(failed());
        let from = read::agent_id(column(0)?, column(1)?, column(2)?)?;
        let message: Vec<u8> = letter.try_get(3).map_err(failed())?;
        sqlx::query(
            "INSERT INTO threads (tenant, type, key, incarnation, counter, deleted) VALUES (?1, ?2, ?3, 0, 0, 1) \
             ON CONFLICT (tenant, type, key) DO NOTHING",
        )
        .bind(from.tenant.as_str())
        .bind(from.agent_type.as_str())
        .bind(from.key.as_str())
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
        sqlx::query(
            "INSERT INTO outbox (id, thread, attempts, message) SELECT ?1, id, 0, ?5 FROM threads \
             WHERE tenant = ?2 AND type = ?3 AND key = ?4 ON CONFLICT (id) DO NOTHING",
        )
        .bind(uuid)
        .bind(from.tenant.as_str())
        .bind(from.agent_type.as_str())
        .bind(from.key.as_str())
        .bind(message.as_slice())
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
        entries.push(OutboxEntry::new(from, OutboxMessage { id, message: message.into() }, 0));
    }
    Ok(Reply::Redriven(entries))
}

async fn start_fork(writer: &mut CheckpointWriter, request: ForkRequest, segment: &mut Segment) -> Outcome {
    let source = match read::checkpoint(&mut writer.connection, &request.from, request.at).await {
        Ok(Some(source)) => source,
        Ok(None) => return Ok(Err(fork_error(ErrorKind::NotFound, &request.from))),
        Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Err(error)),
        Err(error) => return Err(error),
    };
    let mut tip = match writer.tips.tip(&request.to) {
        Some(tip) if tip.version.0 > 0 => return Ok(Err(fork_error(ErrorKind::AlreadyExists, &request.to))),
        Some(tip) => tip,
        None => Tip::new(writer.tips.new_id(&mut writer.connection).await?),
    };
    let now = writer.clock.unix_micros();
    let delta = codec::encode(&codec::whole(&source.fields));
    tip.version = Version(1);
    tip.names = Names::of(&source.fields);
    tip.base = Version(1);
    tip.base_bytes = i64::try_from(delta.len()).unwrap_or(i64::MAX);
    tip.chain_bytes = tip.base_bytes;
    let id = CommitId(*MessageId::new(now).as_uuid());
    let origin = CheckpointOrigin::Fork { from: request.from, version: source.info.version };
    let mut row = Commit::new(id, request.to.clone(), tip.epoch, Version(0), source.info.header.clone());
    row.stamp = source.info.stamp;
    segment.claim(&request.to, &tip)?;
    segment.checkpoint(&row, segment::Version { tip: &tip, delta, origin: Some(json(&origin)) }, now)?;
    let (header, stamp) = (source.info.header, source.info.stamp);
    let info = CheckpointInfo::new(request.to.clone(), tip.version, id, tip.epoch, header, stamp)
        .with_origin(origin);
    writer.tips.put(request.to, tip);
    Ok(Ok(Reply::Forked(Box::new(info))))
}

async fn delete(writer: &mut CheckpointWriter, request: DeleteRequest, segment: &mut Segment) -> Outcome {
    let Some(tip) = writer.tips.tip(&request.thread).filter(|tip| tip.epoch == request.epoch) else {
        return Ok(Err(fenced("delete thread", &request.thread)));
    };
    for statement in [
        "DELETE FROM checkpoints WHERE thread = ?1",
        "DELETE FROM outcomes WHERE thread = ?1",
        "DELETE FROM steps WHERE thread = ?1",
        "DELETE FROM outbox WHERE thread = ?1",
        "UPDATE threads SET deleted = 1 WHERE id = ?1",
    ] {
        sqlx::query(statement)
            .bind(tip.id)
            .execute(&mut writer.connection)
            .await
            .map_err(map_error("delete thread"))?;
    }
    segment.forget(tip.id);
    writer.tips.put(request.thread, Tip::empty(tip.id, tip.epoch));
    Ok(Ok(Reply::Done))
}

async fn prune(writer: &mut CheckpointWriter, request: PruneThreads) -> Result<Reply> {
    let now = writer.clock.unix_micros();
    let connection = &mut writer.connection;
    let threads = json(&request.threads);
    let (mut ghosts, mut free) = (Vec::new(), Vec::new());
    let mut pruned = Pruned::default();
    for rows in list(connection, &threads).await? {
        let mut gone = gone(&rows, &request.policy, now);
        let left = usize::try_from(request.limit - pruned.checkpoints).unwrap_or(usize::MAX);
        pruned.more |= gone.len() > left;
        gone.truncate(left);
        pruned.checkpoints += gone.len() as u64;
        split(&rows, &gone, &mut ghosts, &mut free);
    }
    let failed = || map_error("prune");
    for (statement, ids) in [
        ("UPDATE checkpoints SET ghost = 1 WHERE id IN (SELECT value FROM json_each(?1))", ghosts),
        ("DELETE FROM checkpoints WHERE id IN (SELECT value FROM json_each(?1))", free),
    ] {
        if !ids.is_empty() {
            sqlx::query(statement).bind(json(&ids)).execute(&mut *connection).await.map_err(failed())?;
        }
    }
    let outcomes =
        sqlx::query("DELETE FROM outcomes WHERE thread IN (SELECT value FROM json_each(?1)) AND until <= ?2")
            .bind(threads)
            .bind(now.cast_signed())
            .execute(connection)
            .await
            .map_err(failed())?;
    pruned.outcomes = outcomes.rows_affected();
    Ok(Reply::Pruned(pruned))
}

async fn expire(writer: &mut CheckpointWriter) -> Result<Reply> {
    let outcomes = sqlx::query(
        "DELETE FROM outcomes WHERE (thread, key) IN \
         (SELECT thread, key FROM outcomes WHERE until <= ?1 ORDER BY until LIMIT ?2)",
    )
    .bind(writer.clock.unix_micros().cast_signed())
    .bind(EXPIRED_TOGETHER)
    .execute(&mut writer.connection)
    .await
    .map_err(map_error("prune"))?;
    let outcomes = outcomes.rows_affected();
    Ok(Reply::Pruned(Pruned::new(0, outcomes, outcomes >= u64::from(EXPIRED_TOGETHER))))
}

/// A checkpoint as pruning sees it: id, version, base, when it was written, whether it is tagged, a ghost.
type Listed = (i64, i64, i64, i64, u8, u8);

/// The checkpoints of each thread, newest first.
async fn list(connection: &mut SqliteConnection, threads: &str) -> Result<Vec<Vec<Listed>>> {
    // One row a thread instead of one a checkpoint: each row crosses a channel to sqlx's thread.
    let listed: Vec<String> = sqlx::query_scalar(
        "SELECT json_group_array(json_array(c.id, version, base, written, tags IS NOT NULL, ghost) \
           ORDER BY version DESC) \
         FROM json_each(?1) j CROSS JOIN checkpoints c ON c.thread = j.value GROUP BY c.thread",
    )
    .bind(threads)
    .fetch_all(connection)
    .await
    .map_err(map_error("prune"))?;
    let parsed = listed.iter().map(|rows| serde_json::from_str(rows)).collect::<Result<_, _>>();
    parsed.map_err(|error| Error::new(ErrorKind::Internal, "prune").with_source(error))
}

/// The versions that leave, oldest first.
fn gone(rows: &[Listed], policy: &RetentionPolicy, now: u64) -> Vec<Version> {
    let visible = rows.iter().filter(|(.., ghost)| *ghost == 0);
    let candidates = visible.map(|(_, version, _, written, tagged, _)| {
        Candidate::new(Version(version.cast_unsigned()), written.cast_unsigned(), *tagged != 0)
    });
    leaving(candidates, policy, now)
}

/// Ids of those that leave: a kept checkpoint builds on a ghost until a newer base frees it.
fn split(rows: &[Listed], gone: &[Version], ghosts: &mut Vec<i64>, free: &mut Vec<i64>) {
    if gone.is_empty() {
        return;
    }
    let gone: BTreeSet<i64> = gone.iter().map(|version| version.0.cast_signed()).collect();
    let stays = |(_, version, .., ghost): &&Listed| *ghost == 0 && !gone.contains(version);
    let needed: Vec<(i64, i64)> =
        rows.iter().filter(stays).map(|(_, version, base, ..)| (*base, *version)).collect();
    for row in rows.iter().filter(|row| !stays(row)) {
        let (id, version, .., ghost) = row;
        let is_needed = needed.iter().any(|(base, top)| base <= version && version <= top);
        if !is_needed {
            free.push(*id);
        } else if *ghost == 0 {
            ghosts.push(*id);
        }
    }
}
