//! Operations that come seldom: each runs its own statement on a connection of the pool.

use agentscale_core::checkpoint::{
    At, Attempted, Claim, DeadLetter, DeleteRequest, Epoch, OutboxEntry, Version,
};
use agentscale_core::{AgentId, MessageId, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::prune;
use super::read::{self, epoch, named, number};
use super::shared::Shared;
use crate::checkpoint::names::Names;
use crate::checkpoint::refusal::fenced;
use crate::postgres::{Bound, map_error};

/// Takes the next epoch. The tip is read before, so that the epoch of a thread whose tip is corrupt is not taken.
pub(super) async fn claim(shared: &Shared, thread: AgentId) -> Result<Claim> {
    shared.settle_buffered().await?;
    let database = &shared.database;
    let (via, statements) = (&mut shared.via(), &database.statements);
    let before = read::checkpoint(via, statements, &thread, At::Tip).await?;
    let rows = via.fetch(&statements.claim, named(&thread)).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound).map_err(map_error("claim thread"))?;
    let claimed = claimed(row).map_err(map_error("claim thread"))?;
    // From here on no other owner can move the tip or write to the journal.
    let is_tip = before.as_ref().map(|tip| tip.info.id.0) == claimed.tip;
    let tip = if is_tip { before } else { read::checkpoint(via, statements, &thread, At::Tip).await? };
    let steps = if claimed.is_new { Vec::new() } else { read::journal(via, statements, &thread).await? };
    if let Some(tip) = &tip {
        database.known.put(thread.clone(), tip.info.id.0, Names::of(&tip.fields));
    }
    shared.learn(thread, claimed.epoch, claimed.version);
    Ok(Claim::new(claimed.epoch, tip).with_steps(steps))
}

struct Claimed {
    epoch: Epoch,
    version: Version,
    tip: Option<Uuid>,
    is_new: bool,
}

fn claimed(row: &PgRow) -> sqlx::Result<Claimed> {
    let version: i64 = row.try_get(2)?;
    Ok(Claimed {
        epoch: epoch(row, 0, 1)?,
        version: Version(version.cast_unsigned()),
        tip: row.try_get(3)?,
        is_new: row.try_get(4)?,
    })
}

pub(super) async fn settle(shared: &Shared, ids: &[MessageId]) -> Result<()> {
    shared.settle_buffered().await?;
    shared.via().fetch(&shared.database.statements.settle, Bound::new().with(uuids(ids))).await.map(drop)
}

pub(super) async fn attempt(shared: &Shared, id: MessageId) -> Result<Option<Attempted>> {
    shared.settle_buffered().await?;
    let bound = Bound::new().with(*id.as_uuid());
    let rows = shared.via().fetch(&shared.database.statements.attempt, bound).await?;
    let attempts = rows.first().map(|row| number(row, 0)).transpose().map_err(map_error("record attempt"))?;
    Ok(attempts.map(|attempts| Attempted { attempts }))
}

pub(super) async fn bury(shared: &Shared, letter: DeadLetter) -> Result<()> {
    shared.settle_buffered().await?;
    let bound = Bound::new()
        .with(*letter.message.id.as_uuid())
        .with(letter.from.tenant.as_str())
        .with(letter.from.agent_type.as_str())
        .with(letter.from.key.as_str())
        .with(i64::from(letter.attempts))
        .with(letter.cause.as_bytes())
        .with(letter.message.message.as_ref())
        .with(letter.is_only_if_pending());
    shared.via().fetch(&shared.database.statements.bury, bound).await.map(drop)
}

pub(super) async fn redrive(shared: &Shared, ids: &[MessageId]) -> Result<Vec<OutboxEntry>> {
    let bound = Bound::new().with(uuids(ids));
    let rows = shared.via().fetch(&shared.database.statements.redrive, bound).await?;
    rows.iter().map(read::messages::redriven).collect()
}

pub(super) async fn delete(shared: &Shared, request: DeleteRequest) -> Result<()> {
    shared.settle_buffered().await?;
    let database = &shared.database;
    let bound = named(&request.thread)
        .with(i64::from(request.epoch.incarnation))
        .with(request.epoch.counter.cast_signed());
    let rows = shared.via().fetch(&database.statements.delete, bound).await?;
    let row = rows.first().ok_or_else(|| fenced("delete thread", &request.thread))?;
    let line: i64 = row.try_get(0).map_err(map_error("delete thread"))?;
    database.known.forget(&request.thread);
    shared.buffered.forget(&request.thread);
    if let Err(error) = prune::sweep(database, vec![line]).await {
        // The thread is deleted; what it has left is removed by a later sweep.
        tracing::warn!(%error, "cannot remove what a deleted thread has left");
    }
    Ok(())
}

fn uuids(ids: &[MessageId]) -> Vec<Uuid> {
    ids.iter().map(|id| *id.as_uuid()).collect()
}
