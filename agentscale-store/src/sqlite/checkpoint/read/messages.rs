use agentscale_core::Result;
use agentscale_core::checkpoint::{
    DeadLetter, DeadLetterPage, OutboxCursor, OutboxEntry, OutboxMessage, OutboxPage,
};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteExecutor};

use crate::checkpoint::stored::{agent_id, limit, uuid};
use crate::sqlite::map_error;

pub(in super::super) async fn outbox(
    executor: impl SqliteExecutor<'_>,
    after: Option<OutboxCursor>,
    most: usize,
) -> Result<OutboxPage> {
    let failed = || map_error("list outbox");
    let rows = sqlx::query(
        "SELECT o.seq, o.id, o.message, o.attempts, t.tenant, t.type, t.key \
         FROM outbox o CROSS JOIN threads t ON t.id = o.thread WHERE o.seq > ?1 ORDER BY o.seq LIMIT ?2",
    )
    .bind(after.map_or(0, |cursor| cursor.0))
    .bind(limit(most).saturating_add(1))
    .fetch_all(executor)
    .await
    .map_err(failed())?;
    let entry = |row: &SqliteRow| -> Result<OutboxEntry> {
        let (from, message) = sender_and_message(row)?;
        Ok(OutboxEntry::new(from, message, row.try_get(3).map_err(failed())?))
    };
    let entries = rows.iter().take(most).map(entry).collect::<Result<Vec<_>>>()?;
    Ok(OutboxPage::new(entries, next(&rows, most)?))
}

pub(in super::super) async fn letters(
    executor: impl SqliteExecutor<'_>,
    after: Option<OutboxCursor>,
    most: usize,
) -> Result<DeadLetterPage> {
    let failed = || map_error("list dead letters");
    let rows = sqlx::query(
        "SELECT seq, id, message, attempts, tenant, type, key, cause FROM dead_letters \
         WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )
    .bind(after.map_or(0, |cursor| cursor.0))
    .bind(limit(most).saturating_add(1))
    .fetch_all(executor)
    .await
    .map_err(failed())?;
    let letter = |row: &SqliteRow| -> Result<DeadLetter> {
        let (from, message) = sender_and_message(row)?;
        let cause: String = row.try_get(7).map_err(failed())?;
        Ok(DeadLetter::new(from, message, row.try_get(3).map_err(failed())?, cause))
    };
    let letters = rows.iter().take(most).map(letter).collect::<Result<Vec<_>>>()?;
    Ok(DeadLetterPage::new(letters, next(&rows, most)?))
}

fn sender_and_message(row: &SqliteRow) -> Result<(agentscale_core::AgentId, OutboxMessage)> {
    let failed = || map_error("read message");
    let name = |place: usize| row.try_get::<&str, _>(place).map_err(failed());
    let id = uuid(row.try_get(1).map_err(failed())?)?.into();
    let message: Vec<u8> = row.try_get(2).map_err(failed())?;
    Ok((agent_id(name(4)?, name(5)?, name(6)?)?, OutboxMessage { id, message: message.into() }))
}

fn next(rows: &[SqliteRow], most: usize) -> Result<Option<OutboxCursor>> {
    if rows.len() <= most || most == 0 {
        return Ok(None);
    }
    Ok(Some(OutboxCursor(rows[most - 1].try_get(0).map_err(map_error("read message"))?)))
}
