//! Operations that come seldom: each runs its own statements within the transaction of its batch.

use agentscale_core::checkpoint::{
    Attempted, CheckpointInfo, CheckpointOrigin, Commit, CommitId, DeadLetter, DeleteRequest, ForkRequest,
    OutboxEntry, OutboxMessage, Version,
};
use agentscale_core::{ErrorKind, MessageId, Result};
use sqlx::{Row, SqliteConnection};

use super::op::{Removal, Reply, Request};
use super::read;
use super::segment::{self, Segment};
use super::shares::{self, Source};
use super::tips::Tip;
use super::writer::{CheckpointWriter, Outcome};
use crate::checkpoint::codec;
use crate::checkpoint::names::Names;
use crate::checkpoint::refusal::{fenced, fork_error};
use crate::checkpoint::stored::{self, json};
use crate::sqlite::map_error;

pub(super) async fn apply(writer: &mut CheckpointWriter, request: Request, segment: &mut Segment) -> Outcome {
    match request {
        Request::Attempt(id) => attempt(&mut writer.connection, id).await.map(Ok),
        Request::Bury(letter) => bury(&mut writer.connection, *letter).await.map(Ok),
        Request::Redrive(ids) => {
            let entries = redrive(&mut writer.connection, ids).await?;
            let senders = entries.iter().map(|entry| &entry.from);
            writer.tips.read_new(&mut writer.connection, senders).await?;
            Ok(Ok(Reply::Redriven(entries)))
        }
        Request::Fork(fork) => start_fork(writer, *fork, segment).await,
        Request::Delete(request) => delete(writer, *request, segment).await,
        Request::List(threads) => list(&mut writer.connection, &threads).await.map(Ok),
        Request::Remove(removal) => remove(&mut writer.connection, *removal).await.map(Ok),
        Request::Expire { threads, most } => expire(writer, threads, most).await.map(Ok),
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
    let taken = sqlx::query("DELETE FROM outbox WHERE id = ?1")
        .bind(id)
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
    if taken.rows_affected() == 0 && letter.is_only_if_pending() {
        return Ok(Reply::Done);
    }
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
async fn redrive(connection: &mut SqliteConnection, ids: Vec<MessageId>) -> Result<Vec<OutboxEntry>> {
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
        let from = stored::agent_id(column(0)?, column(1)?, column(2)?)?;
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
    Ok(entries)
}

/// The fork's first checkpoint writes nothing and shares the deltas of its source, whose bytes its chain goes on
/// counting.
async fn start_fork(writer: &mut CheckpointWriter, request: ForkRequest, segment: &mut Segment) -> Outcome {
    let source = match Source::read(&mut writer.connection, &request.from, request.at).await {
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
    let fields = if source.can_be_shared() {
        (tip.base_bytes, tip.chain_bytes, tip.names) =
            (source.base_bytes, source.chain_bytes, Names::UNKNOWN);
        Vec::new()
    } else {
        let whole = match read::checkpoint(&mut writer.connection, &request.from, request.at).await {
            Ok(whole) => whole.map(|whole| whole.fields).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(Err(error)),
            Err(error) => return Err(error),
        };
        tip.names = Names::of(&whole);
        codec::whole(&whole)
    };
    let delta = codec::encode(&fields);
    if !source.can_be_shared() {
        tip.base_bytes = i64::try_from(delta.len()).unwrap_or(i64::MAX);
        tip.chain_bytes = tip.base_bytes;
    }
    (tip.version, tip.base) = (Version(1), Version(1));
    let now = writer.clock.unix_micros();
    let id = CommitId(*MessageId::new(now).as_uuid());
    let origin = CheckpointOrigin::Fork { from: request.from, version: source.version() };
    let mut row = Commit::new(id, request.to.clone(), tip.epoch, Version(0), source.info.header.clone());
    row.stamp = source.info.stamp;
    writer.counters.payload(&delta);
    segment.claim(&request.to, &tip)?;
    segment.checkpoint(&row, segment::Version { tip: &tip, delta, origin: Some(json(&origin)) }, now)?;
    if source.can_be_shared() {
        segment.write(&mut writer.connection).await?;
        source.share_with(&mut writer.connection, tip.id).await?;
    }
    let info = CheckpointInfo::new(request.to.clone(), tip.version, id, tip.epoch, row.header, row.stamp)
        .with_origin(origin);
    writer.tips.put(request.to, tip);
    Ok(Ok(Reply::Forked(Box::new(info))))
}

async fn delete(writer: &mut CheckpointWriter, request: DeleteRequest, segment: &mut Segment) -> Outcome {
    let failed = || map_error("delete thread");
    let Some(tip) = writer.tips.tip(&request.thread).filter(|tip| tip.epoch == request.epoch) else {
        return Ok(Err(fenced("delete thread", &request.thread)));
    };
    let is_shared = shares::are_taken_of(&mut writer.connection, tip.id).await?;
    let number = if is_shared { writer.tips.new_id(&mut writer.connection).await? } else { tip.id };
    for statement in [
        "DELETE FROM outcomes WHERE thread = ?1",
        "DELETE FROM steps WHERE thread = ?1",
        "DELETE FROM outbox WHERE thread = ?1",
        // What forks share stays under the old number; the rows that they do not are removed below.
        "UPDATE checkpoints SET ghost = 1 WHERE thread = ?1 AND NOT ghost AND EXISTS \
           (SELECT 1 FROM shares WHERE source = ?1)",
        "UPDATE threads SET deleted = 1, id = ?2 WHERE id = ?1",
    ] {
        sqlx::query(statement)
            .bind(tip.id)
            .bind(number)
            .execute(&mut writer.connection)
            .await
            .map_err(failed())?;
    }
    let rows = sqlx::query_scalar("SELECT id FROM checkpoints WHERE thread = ?1")
        .bind(tip.id)
        .fetch_all(&mut writer.connection)
        .await
        .map_err(failed())?;
    shares::remove(&mut writer.connection, rows).await?;
    segment.forget(tip.id);
    writer.tips.put(request.thread, Tip::empty(number, tip.epoch));
    Ok(Ok(Reply::Done))
}

/// The checkpoints of each thread, newest first, and the versions that forks share.
async fn list(connection: &mut SqliteConnection, threads: &[i64]) -> Result<Reply> {
    // One row a thread instead of one a checkpoint: each row crosses a channel to sqlx's thread.
    let listed: Vec<String> = sqlx::query_scalar(
        "SELECT json_array(json_group_array(json_array(c.id, version, base, written, tags IS NOT NULL, ghost) \
             ORDER BY version DESC), \
           (SELECT json_group_array(json_array(first, last)) FROM shares WHERE source = c.thread)) \
         FROM json_each(?1) j CROSS JOIN checkpoints c ON c.thread = j.value GROUP BY c.thread",
    )
    .bind(json(&threads))
    .fetch_all(connection)
    .await
    .map_err(map_error("prune"))?;
    Ok(Reply::Listed(listed))
}

/// What a fork has come to share since it was listed is left as it is.
async fn remove(connection: &mut SqliteConnection, removal: Removal) -> Result<Reply> {
    let mut removed = 0;
    if !removal.ghosts.is_empty() {
        let ghosts =
            sqlx::query("UPDATE checkpoints SET ghost = 1 WHERE id IN (SELECT value FROM json_each(?1))");
        let done = ghosts.bind(json(&removal.ghosts)).execute(&mut *connection).await;
        removed += done.map_err(map_error("prune"))?.rows_affected();
    }
    removed += shares::remove(connection, removal.rows).await?;
    Ok(Reply::Removed(removed))
}

async fn expire(writer: &mut CheckpointWriter, threads: Option<Vec<i64>>, most: u32) -> Result<Reply> {
    let statement = match threads {
        Some(_) => {
            "DELETE FROM outcomes WHERE (thread, key) IN (SELECT o.thread, o.key FROM json_each(?3) j \
             CROSS JOIN outcomes o ON o.thread = j.value WHERE o.until <= ?1 LIMIT ?2)"
        }
        None => {
            "DELETE FROM outcomes WHERE (thread, key) IN \
             (SELECT thread, key FROM outcomes WHERE until <= ?1 ORDER BY until LIMIT ?2)"
        }
    };
    let outcomes = sqlx::query(statement)
        .bind(writer.clock.unix_micros().cast_signed())
        .bind(most)
        .bind(threads.map(|threads| json(&threads)))
        .execute(&mut writer.connection)
        .await
        .map_err(map_error("prune"))?;
    Ok(Reply::Removed(outcomes.rows_affected()))
}
