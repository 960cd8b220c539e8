use agentscale_core::checkpoint::{
    DeadLetter, DeadLetterPage, OutboxCursor, OutboxEntry, OutboxMessage, OutboxPage,
};
use agentscale_core::{AgentId, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::super::statements::Statements;
use super::super::via::Via;
use super::number;
use crate::checkpoint::stored::{agent_id, limit};
use crate::postgres::{Bound, map_error};

pub(in super::super) async fn outbox(
    via: &mut Via<'_>,
    statements: &Statements,
    after: Option<OutboxCursor>,
    most: usize,
) -> Result<OutboxPage> {
    let rows = via.fetch(&statements.outbox, page(after, most)).await?;
    let entry = |row: &PgRow| -> Result<OutboxEntry> {
        let (from, message) = sender_and_message(row)?;
        Ok(OutboxEntry::new(from, message, number(row, 3).map_err(map_error("list outbox"))?))
    };
    let entries = rows.iter().take(most).map(entry).collect::<Result<Vec<_>>>()?;
    Ok(OutboxPage::new(entries, next(&rows, most)?))
}

pub(in super::super) async fn letters(
    via: &mut Via<'_>,
    statements: &Statements,
    after: Option<OutboxCursor>,
    most: usize,
) -> Result<DeadLetterPage> {
    let failed = || map_error("list dead letters");
    let rows = via.fetch(&statements.letters, page(after, most)).await?;
    let letter = |row: &PgRow| -> Result<DeadLetter> {
        let (from, message) = sender_and_message(row)?;
        let cause: &[u8] = row.try_get(7).map_err(failed())?;
        let cause = String::from_utf8_lossy(cause);
        Ok(DeadLetter::new(from, message, number(row, 3).map_err(failed())?, cause))
    };
    let letters = rows.iter().take(most).map(letter).collect::<Result<Vec<_>>>()?;
    Ok(DeadLetterPage::new(letters, next(&rows, most)?))
}

/// What was put back, in the order of its ids: id, message and the names of its sender.
pub(in super::super) fn redriven(row: &PgRow) -> Result<OutboxEntry> {
    let failed = || map_error("redrive messages");
    let name = |place: usize| row.try_get::<&str, _>(place).map_err(failed());
    let id: Uuid = row.try_get(0).map_err(failed())?;
    let message: Vec<u8> = row.try_get(1).map_err(failed())?;
    let from = agent_id(name(2)?, name(3)?, name(4)?)?;
    Ok(OutboxEntry::new(from, OutboxMessage { id: id.into(), message: message.into() }, 0))
}

fn page(after: Option<OutboxCursor>, most: usize) -> Bound {
    Bound::new().with(after.map_or(0, |cursor| cursor.0)).with(limit(most).saturating_add(1))
}

fn sender_and_message(row: &PgRow) -> Result<(AgentId, OutboxMessage)> {
    let failed = || map_error("read message");
    let name = |place: usize| row.try_get::<&str, _>(place).map_err(failed());
    let id: Uuid = row.try_get(1).map_err(failed())?;
    let message: Vec<u8> = row.try_get(2).map_err(failed())?;
    let message = OutboxMessage { id: id.into(), message: message.into() };
    Ok((agent_id(name(4)?, name(5)?, name(6)?)?, message))
}

fn next(rows: &[PgRow], most: usize) -> Result<Option<OutboxCursor>> {
    if rows.len() <= most || most == 0 {
        return Ok(None);
    }
    Ok(Some(OutboxCursor(rows[most - 1].try_get(0).map_err(map_error("read message"))?)))
}
