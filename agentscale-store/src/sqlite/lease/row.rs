use agentscale_core::lease::{AcquireId, Epoch, LeaseKey};
use agentscale_core::{Error, ErrorKind, Result};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use uuid::Uuid;

use crate::lease::{Held, Record};
use crate::sqlite::map_error;

/// The record of a lease, empty where there is no row.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    key: &LeaseKey,
    operation: &'static str,
) -> Result<Record> {
    let row = sqlx::query(
        "SELECT incarnation, counter, acquire_id, holder, note, since, ttl, until FROM leases \
         WHERE tenant = ?1 AND kind = ?2 AND name = ?3",
    )
    .bind(key.tenant.as_str())
    .bind(key.kind.as_str())
    .bind(key.name.as_str())
    .fetch_optional(connection)
    .await
    .map_err(map_error(operation))?;
    match row {
        Some(row) => decode(&row, operation),
        None => Ok(Record::default()),
    }
}

pub(super) async fn write(connection: &mut SqliteConnection, key: &LeaseKey, record: &Record) -> Result<()> {
    let held = record.held.as_ref();
    sqlx::query("INSERT OR REPLACE INTO leases VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")
        .bind(key.tenant.as_str())
        .bind(key.kind.as_str())
        .bind(key.name.as_str())
        .bind(record.epoch.incarnation)
        .bind(record.epoch.counter.cast_signed())
        .bind(record.id.map(|id| id.0.as_bytes().to_vec()))
        .bind(held.map(|held| held.holder.as_str()))
        .bind(held.and_then(|held| held.note.as_ref()).map(|note| note.as_str()))
        .bind(held.map(|held| held.since.cast_signed()))
        .bind(held.map(|held| held.ttl.cast_signed()))
        .bind(held.map(|held| held.until.cast_signed()))
        .execute(connection)
        .await
        .map_err(map_error("write lease"))?;
    Ok(())
}

fn decode(row: &SqliteRow, operation: &'static str) -> Result<Record> {
    let failed = || map_error(operation);
    let corrupt = |error: uuid::Error| Error::new(ErrorKind::Corrupt, operation).with_source(error);
    let time = |column: usize| -> Result<u64> {
        Ok(row.try_get::<i64, _>(column).map_err(failed())?.cast_unsigned())
    };
    let epoch = Epoch { incarnation: row.try_get(0).map_err(failed())?, counter: time(1)? };
    let id: &[u8] = row.try_get(2).map_err(failed())?;
    let id = AcquireId(Uuid::from_slice(id).map_err(corrupt)?);
    let Some(holder) = row.try_get::<Option<&str>, _>(3).map_err(failed())? else {
        return Ok(Record { epoch, id: Some(id), held: None });
    };
    let note = row.try_get::<Option<&str>, _>(4).map_err(failed())?;
    let unreadable = |error: Error| Error::new(ErrorKind::Corrupt, operation).with_source(error);
    let held = Held {
        holder: holder.try_into().map_err(unreadable)?,
        note: note.map(TryInto::try_into).transpose().map_err(unreadable)?,
        since: time(5)?,
        ttl: time(6)?,
        until: time(7)?,
    };
    Ok(Record { epoch, id: Some(id), held: Some(held) })
}
