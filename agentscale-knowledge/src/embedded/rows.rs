//! From rows to entries.

use std::collections::HashMap;

use agentscale_core::knowledge::{Entry, EntryId, EntryVersion, Metadata, MetadataValue, StoredEntry};
use agentscale_core::{Error, ErrorKind, Result};
use agentscale_store::sqlite::map_error;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use super::filter::{BOOL, NUMBER};
use crate::index::vector;

/// The columns that [`stored`] reads, of `versions v`. The vector comes last, where it is asked for.
pub(super) const COLUMNS: &str = "v.item, v.id, v.version, v.put_at, v.text, ";

/// A list that `json_each` takes apart again: a bound parameter of any length.
pub(super) fn json_list<T: Serialize>(values: &[T]) -> Result<String> {
    serde_json::to_string(values)
        .map_err(|error| Error::new(ErrorKind::Internal, "bind list").with_source(error))
}

/// Entries by item number, from rows of [`COLUMNS`] and of the table of fields.
pub(super) async fn stored(
    connection: &mut SqliteConnection,
    rows: &[SqliteRow],
    operation: &'static str,
) -> Result<Vec<(i64, StoredEntry)>> {
    let items: Vec<i64> =
        rows.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>().map_err(map_error(operation))?;
    let mut metadata = metadata(connection, &items, operation).await?;
    rows.iter()
        .zip(items)
        .map(|(row, item)| {
            let entry = entry(row, metadata.remove(&item).unwrap_or_default(), operation)?;
            Ok((item, entry))
        })
        .collect()
}

fn entry(row: &SqliteRow, metadata: Metadata, operation: &'static str) -> Result<StoredEntry> {
    let failed = |error| map_error(operation)(error);
    let id: String = row.try_get(1).map_err(failed)?;
    let version: i64 = row.try_get(2).map_err(failed)?;
    let put_at: i64 = row.try_get(3).map_err(failed)?;
    let text: String = row.try_get(4).map_err(failed)?;
    let bytes: Option<Vec<u8>> = row.try_get(5).map_err(failed)?;
    let id =
        EntryId::new(id).map_err(|error| Error::new(ErrorKind::Corrupt, operation).with_source(error))?;
    let mut entry = Entry::new(id, text).with_metadata(metadata);
    entry.vector = bytes.as_deref().map(vector::from_bytes);
    Ok(StoredEntry::new(entry, EntryVersion(version.unsigned_abs()), put_at.unsigned_abs()))
}

async fn metadata(
    connection: &mut SqliteConnection,
    items: &[i64],
    operation: &'static str,
) -> Result<HashMap<i64, Metadata>> {
    let rows = sqlx::query(
        "SELECT item, name, kind, typeof(value) = 'integer', value FROM fields \
         WHERE item IN (SELECT value FROM json_each(?))",
    )
    .bind(json_list(items)?)
    .fetch_all(connection)
    .await
    .map_err(map_error(operation))?;
    let mut metadata: HashMap<i64, Metadata> = HashMap::new();
    for row in rows {
        let (item, name, value) = field(&row).map_err(map_error(operation))?;
        metadata.entry(item).or_default().insert(name, value);
    }
    Ok(metadata)
}

fn field(row: &SqliteRow) -> sqlx::Result<(i64, String, MetadataValue)> {
    let value = match (row.try_get::<i64, _>(2)?, row.try_get::<bool, _>(3)?) {
        (BOOL, _) => MetadataValue::Bool(row.try_get::<i64, _>(4)? != 0),
        (NUMBER, true) => MetadataValue::Int(row.try_get(4)?),
        (NUMBER, false) => MetadataValue::Float(row.try_get(4)?),
        _ => MetadataValue::Text(row.try_get(4)?),
    };
    Ok((row.try_get(0)?, row.try_get(1)?, value))
}
