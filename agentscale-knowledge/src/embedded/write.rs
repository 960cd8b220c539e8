//! Puts and deletes as one transaction each.

use std::collections::HashMap;

use agentscale_core::knowledge::{Entry, EntryVersion, MetadataValue};
use agentscale_core::{Error, ErrorKind, Result};
use agentscale_store::sqlite::map_error;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::filter::{BOOL, NUMBER, TEXT};
use super::rows::json_list;
use super::transaction;
use crate::index::vector;

const PUT: &str = "put knowledge";
const DELETE: &str = "delete knowledge";
const TRIM: &str = "trim removals of knowledge";
/// SQLite takes 32,766 parameters a statement; rows here have at most eight.
const ROWS: usize = 2_000;

/// A version as it is about to be kept.
struct Version {
    item: i64,
    version: i64,
    entry: Entry,
}

/// Puts `entries` at `now`, or just after the newest version they follow, and prunes their histories.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    tenant: &str,
    entries: Vec<Entry>,
    now: u64,
    keep_versions: u64,
) -> Result<Vec<EntryVersion>> {
    transaction::begin(connection, PUT).await?;
    let done = put_versions(connection, tenant, entries, now, keep_versions).await;
    transaction::end(connection, PUT, done).await
}

/// Deletes entries with their histories and says how many entries there were.
pub(super) async fn delete(connection: &mut SqliteConnection, tenant: &str, ids: &[&str]) -> Result<u64> {
    transaction::begin(connection, DELETE).await?;
    let done = delete_entries(connection, tenant, ids).await;
    transaction::end(connection, DELETE, done).await
}

/// Forgets removals up to `seq`, which the index has followed.
pub(super) async fn trim(connection: &mut SqliteConnection, seq: i64) -> Result<()> {
    transaction::begin(connection, TRIM).await?;
    let done = trim_removed(connection, seq).await;
    transaction::end(connection, TRIM, done).await
}

async fn put_versions(
    connection: &mut SqliteConnection,
    tenant: &str,
    entries: Vec<Entry>,
    now: u64,
    keep_versions: u64,
) -> Result<Vec<EntryVersion>> {
    let tenant = tenant_number(connection, tenant).await?;
    let newest = newest(connection, tenant, &entries).await?;
    let after = newest.values().map(|row| row.put_at + 1).max().unwrap_or_default();
    let put_at = i64::try_from(now).unwrap_or(i64::MAX).max(after);
    supersede(connection, tenant, &newest, put_at).await?;

    let first = next_item(connection, entries.len()).await?;
    let versions: Vec<Version> = (first..)
        .zip(entries)
        .map(|(item, entry)| {
            let version = newest.get(entry.id.as_str()).map_or(1, |row| row.version + 1);
            Version { item, version, entry }
        })
        .collect();
    for rows in versions.chunks(ROWS) {
        insert_versions(connection, tenant, put_at, rows).await?;
        insert_words(connection, tenant, rows).await?;
    }
    insert_fields(connection, tenant, &versions).await?;
    prune(connection, tenant, &versions, keep_versions).await?;
    Ok(versions.iter().map(|row| EntryVersion(row.version.unsigned_abs())).collect())
}

async fn delete_entries(connection: &mut SqliteConnection, tenant: &str, ids: &[&str]) -> Result<u64> {
    let rows: Vec<(i64, i64, bool)> = sqlx::query_as(
        "SELECT item, tenant, until IS NULL FROM versions \
         WHERE tenant = (SELECT number FROM tenants WHERE name = ?) AND id IN (SELECT value FROM json_each(?))",
    )
    .bind(tenant)
    .bind(json_list(ids)?)
    .fetch_all(&mut *connection)
    .await
    .map_err(map_error(DELETE))?;
    let Some(tenant) = rows.first().map(|row| row.1) else { return Ok(0) };
    let newest: Vec<i64> = rows.iter().filter(|row| row.2).map(|row| row.0).collect();
    list_removed(connection, tenant, &newest, DELETE).await?;
    let items: Vec<i64> = rows.iter().map(|row| row.0).collect();
    remove(connection, &items, DELETE).await?;
    Ok(newest.len() as u64)
}

async fn trim_removed(connection: &mut SqliteConnection, seq: i64) -> Result<()> {
    for statement in ["DELETE FROM removed WHERE seq <= ?", "UPDATE store SET trimmed = ?"] {
        let done = sqlx::query(statement).bind(seq).execute(&mut *connection).await;
        done.map_err(map_error(TRIM))?;
    }
    Ok(())
}

struct Newest {
    item: i64,
    version: i64,
    put_at: i64,
}

async fn tenant_number(connection: &mut SqliteConnection, name: &str) -> Result<i64> {
    let known = sqlx::query_scalar("SELECT number FROM tenants WHERE name = ?")
        .bind(name)
        .fetch_optional(&mut *connection)
        .await
        .map_err(map_error(PUT))?;
    if let Some(number) = known {
        return Ok(number);
    }
    sqlx::query_scalar("INSERT INTO tenants (name) VALUES (?) RETURNING number")
        .bind(name)
        .fetch_one(connection)
        .await
        .map_err(map_error(PUT))
}

async fn newest(
    connection: &mut SqliteConnection,
    tenant: i64,
    entries: &[Entry],
) -> Result<HashMap<String, Newest>> {
    let ids: Vec<&str> = entries.iter().map(|entry| entry.id.as_str()).collect();
    let rows = sqlx::query(
        "SELECT id, item, version, put_at FROM versions \
         WHERE tenant = ? AND until IS NULL AND id IN (SELECT value FROM json_each(?))",
    )
    .bind(tenant)
    .bind(json_list(&ids)?)
    .fetch_all(connection)
    .await
    .map_err(map_error(PUT))?;
    rows.iter()
        .map(|row| {
            let newest = Newest { item: row.try_get(1)?, version: row.try_get(2)?, put_at: row.try_get(3)? };
            Ok((row.try_get(0)?, newest))
        })
        .collect::<sqlx::Result<_>>()
        .map_err(map_error(PUT))
}

async fn supersede(
    connection: &mut SqliteConnection,
    tenant: i64,
    newest: &HashMap<String, Newest>,
    put_at: i64,
) -> Result<()> {
    let items: Vec<i64> = newest.values().map(|row| row.item).collect();
    sqlx::query("UPDATE versions SET until = ? WHERE item IN (SELECT value FROM json_each(?))")
        .bind(put_at)
        .bind(json_list(&items)?)
        .execute(&mut *connection)
        .await
        .map_err(map_error(PUT))?;
    list_removed(connection, tenant, &items, PUT).await
}

async fn next_item(connection: &mut SqliteConnection, count: usize) -> Result<i64> {
    let last: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'versions'")
        .fetch_optional(connection)
        .await
        .map_err(map_error(PUT))?;
    let first = last.unwrap_or_default() + 1;
    if first + count as i64 > i64::from(u32::MAX) {
        return Err(Error::new(ErrorKind::TooLarge, PUT).with_context("most versions ever put", u32::MAX));
    }
    Ok(first)
}

async fn insert_versions(
    connection: &mut SqliteConnection,
    tenant: i64,
    put_at: i64,
    rows: &[Version],
) -> Result<()> {
    let mut sql = QueryBuilder::<Sqlite>::new(
        "INSERT INTO versions (item, tenant, id, version, put_at, text, vector) ",
    );
    sql.push_values(rows, |mut row, version| {
        row.push_bind(version.item).push_bind(tenant).push_bind(version.entry.id.as_str().to_owned());
        row.push_bind(version.version).push_bind(put_at).push_bind(version.entry.text.clone());
        row.push_bind(version.entry.vector.as_deref().map(vector::to_bytes));
    });
    sql.build().execute(connection).await.map_err(map_error(PUT))?;
    Ok(())
}

async fn insert_words(connection: &mut SqliteConnection, tenant: i64, rows: &[Version]) -> Result<()> {
    let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO words (rowid, tenant, text) ");
    sql.push_values(rows, |mut row, version| {
        row.push_bind(version.item).push_bind(format!("t{tenant}")).push_bind(version.entry.text.clone());
    });
    sql.build().execute(connection).await.map_err(map_error(PUT))?;
    Ok(())
}

async fn insert_fields(connection: &mut SqliteConnection, tenant: i64, versions: &[Version]) -> Result<()> {
    let fields: Vec<(i64, &String, &MetadataValue)> = versions
        .iter()
        .flat_map(|row| row.entry.metadata.iter().map(|(name, value)| (row.item, name, value)))
        .collect();
    for fields in fields.chunks(ROWS) {
        let mut sql = QueryBuilder::<Sqlite>::new("INSERT INTO fields (item, tenant, name, kind, value) ");
        sql.push_values(fields, |mut row, (item, name, value)| {
            row.push_bind(*item).push_bind(tenant).push_bind((*name).clone());
            match value {
                MetadataValue::Bool(value) => row.push_bind(BOOL).push_bind(i64::from(*value)),
                MetadataValue::Int(value) => row.push_bind(NUMBER).push_bind(*value),
                MetadataValue::Float(value) => row.push_bind(NUMBER).push_bind(*value),
                MetadataValue::Text(value) => row.push_bind(TEXT).push_bind(value.clone()),
                // Refused before it came here.
                _ => row.push_bind(TEXT).push_bind(None::<String>),
            };
        });
        sql.build().execute(&mut *connection).await.map_err(map_error(PUT))?;
    }
    Ok(())
}

async fn prune(
    connection: &mut SqliteConnection,
    tenant: i64,
    versions: &[Version],
    keep_versions: u64,
) -> Result<()> {
    let keep = i64::try_from(keep_versions.max(1)).unwrap_or(i64::MAX);
    for row in versions.iter().filter(|row| row.version > keep) {
        let old: Vec<i64> =
            sqlx::query_scalar("SELECT item FROM versions WHERE tenant = ? AND id = ? AND version <= ?")
                .bind(tenant)
                .bind(row.entry.id.as_str())
                .bind(row.version - keep)
                .fetch_all(&mut *connection)
                .await
                .map_err(map_error(PUT))?;
        remove(connection, &old, PUT).await?;
    }
    Ok(())
}

async fn list_removed(
    connection: &mut SqliteConnection,
    tenant: i64,
    items: &[i64],
    operation: &'static str,
) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    sqlx::query("INSERT INTO removed (tenant, item) SELECT ?, value FROM json_each(?)")
        .bind(tenant)
        .bind(json_list(items)?)
        .execute(connection)
        .await
        .map_err(map_error(operation))?;
    Ok(())
}

async fn remove(connection: &mut SqliteConnection, items: &[i64], operation: &'static str) -> Result<()> {
    let items = json_list(items)?;
    for statement in [
        "DELETE FROM versions WHERE item IN (SELECT value FROM json_each(?))",
        "DELETE FROM fields WHERE item IN (SELECT value FROM json_each(?))",
        "DELETE FROM words WHERE rowid IN (SELECT value FROM json_each(?))",
    ] {
        let done = sqlx::query(statement).bind(items.as_str()).execute(&mut *connection).await;
        done.map_err(map_error(operation))?;
    }
    Ok(())
}
