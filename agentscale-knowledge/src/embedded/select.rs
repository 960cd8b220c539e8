//! The statements that read, composed of the same conditions.

use agentscale_core::knowledge::{Filter, StoredEntry};
use agentscale_core::{Error, ErrorKind, Result};
use agentscale_store::sqlite::map_error;
use futures::TryStreamExt;
use roaring::RoaringBitmap;
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::filter;
use super::rows::{self, COLUMNS, json_list};
use crate::index::vector;

const QUERY: &str = "query knowledge";

/// Which versions a query sees: a tenant's, of one time, that fit a filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'q> {
    pub(super) tenant: i64,
    pub(super) as_of: Option<u64>,
    pub(super) filter: Option<&'q Filter>,
}

impl Scope<'_> {
    /// Appends the condition on `versions v`.
    fn push(&self, sql: &mut QueryBuilder<Sqlite>) {
        sql.push("v.tenant = ").push_bind(self.tenant);
        match self.as_of.map(|time| i64::try_from(time).unwrap_or(i64::MAX)) {
            None => sql.push(" AND v.until IS NULL"),
            Some(time) => sql
                .push(" AND v.put_at <= ")
                .push_bind(time)
                .push(" AND (v.until IS NULL OR v.until > ")
                .push_bind(time)
                .push(")"),
        };
        if let Some(filter) = self.filter {
            sql.push(" AND ");
            filter::push(filter, self.tenant, sql);
        }
    }
}

pub(super) async fn tenant(readers: &SqlitePool, name: &str) -> Result<Option<i64>> {
    sqlx::query_scalar("SELECT number FROM tenants WHERE name = ?")
        .bind(name)
        .fetch_optional(readers)
        .await
        .map_err(map_error(QUERY))
}

/// The items with vectors.
pub(super) async fn candidates(readers: &SqlitePool, scope: Scope<'_>) -> Result<RoaringBitmap> {
    // One value rather than a row an item: a row costs more than the condition that finds it.
    let mut sql =
        QueryBuilder::new("SELECT json_group_array(v.item) FROM versions v WHERE v.vector IS NOT NULL AND ");
    scope.push(&mut sql);
    let list: String = sql.build_query_scalar().fetch_one(readers).await.map_err(map_error(QUERY))?;
    let items: Vec<u32> = serde_json::from_str(&list)
        .map_err(|error| Error::new(ErrorKind::Corrupt, QUERY).with_source(error))?;
    Ok(items.into_iter().collect())
}

/// The items whose text has one of the words, best first.
pub(super) async fn by_words(
    readers: &SqlitePool,
    scope: Scope<'_>,
    text: &str,
    limit: usize,
) -> Result<Vec<i64>> {
    let Some(words) = any_word(text) else { return Ok(Vec::new()) };
    let mut sql = QueryBuilder::new(
        "SELECT v.item FROM words JOIN versions v ON v.item = words.rowid WHERE words MATCH ",
    );
    sql.push_bind(format!("tenant : \"t{}\" AND text : ({words})", scope.tenant)).push(" AND ");
    scope.push(&mut sql);
    sql.push(" ORDER BY bm25(words, 0.0, 1.0), v.item LIMIT ").push_bind(bounded(limit));
    sql.build_query_scalar().fetch_all(readers).await.map_err(map_error(QUERY))
}

/// The similarity of each item's vector, in no order: the exact scan for times the index does not know.
pub(super) async fn by_scan(
    readers: &SqlitePool,
    scope: Scope<'_>,
    query: &[f32],
) -> Result<Vec<(i64, f32)>> {
    let mut sql =
        QueryBuilder::new("SELECT v.item, v.vector FROM versions v WHERE v.vector IS NOT NULL AND ");
    scope.push(&mut sql);
    sql.build_query_as::<(i64, Vec<u8>)>()
        .fetch(readers)
        .map_ok(|(item, bytes)| {
            let similarity = vector::unit(&vector::from_bytes(&bytes))
                .map_or(0.0, |unit| query.iter().zip(unit.iter()).map(|(x, y)| x * y).sum());
            (item, similarity)
        })
        .try_collect()
        .await
        .map_err(map_error(QUERY))
}

/// Items in the order of their ids, whatever their text and vector.
pub(super) async fn any(readers: &SqlitePool, scope: Scope<'_>, limit: usize) -> Result<Vec<i64>> {
    let mut sql = QueryBuilder::new("SELECT v.item FROM versions v WHERE ");
    scope.push(&mut sql);
    sql.push(" ORDER BY v.id LIMIT ").push_bind(bounded(limit));
    sql.build_query_scalar().fetch_all(readers).await.map_err(map_error(QUERY))
}

/// The entries of those items that are still there.
pub(super) async fn entries(
    readers: &SqlitePool,
    scope: Scope<'_>,
    items: &[i64],
) -> Result<Vec<(i64, StoredEntry)>> {
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(COLUMNS).push("NULL FROM versions v WHERE v.item IN (SELECT value FROM json_each(");
    sql.push_bind(json_list(items)?).push(")) AND ");
    Scope { filter: None, ..scope }.push(&mut sql);
    read(readers, sql, QUERY).await
}

/// A page of entries behind an id.
pub(super) async fn page(
    readers: &SqlitePool,
    scope: Scope<'_>,
    (after, limit, vectors): (Option<&str>, usize, bool),
) -> Result<Vec<StoredEntry>> {
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(COLUMNS).push(if vectors { "v.vector" } else { "NULL" }).push(" FROM versions v WHERE ");
    scope.push(&mut sql);
    if let Some(after) = after {
        sql.push(" AND v.id > ").push_bind(after.to_owned());
    }
    sql.push(" ORDER BY v.id LIMIT ").push_bind(bounded(limit));
    let entries = read(readers, sql, "scan knowledge").await?;
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// The newest versions of an entry, newest first.
pub(super) async fn versions(
    readers: &SqlitePool,
    (tenant, id): (&str, &str),
    limit: usize,
    operation: &'static str,
) -> Result<Vec<StoredEntry>> {
    let mut sql = QueryBuilder::new("SELECT ");
    sql.push(COLUMNS).push("NULL FROM versions v WHERE v.tenant = (SELECT number FROM tenants WHERE name = ");
    sql.push_bind(tenant.to_owned()).push(") AND v.id = ").push_bind(id.to_owned());
    sql.push(" ORDER BY v.version DESC LIMIT ").push_bind(bounded(limit));
    let entries = read(readers, sql, operation).await?;
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// Rows and their fields of one moment.
async fn read(
    readers: &SqlitePool,
    mut sql: QueryBuilder<Sqlite>,
    operation: &'static str,
) -> Result<Vec<(i64, StoredEntry)>> {
    let mut moment = readers.begin().await.map_err(map_error(operation))?;
    let found = sql.build().fetch_all(&mut *moment).await.map_err(map_error(operation))?;
    let entries = rows::stored(&mut moment, &found, operation).await?;
    moment.commit().await.map_err(map_error(operation))?;
    Ok(entries)
}

/// The words of a text as an expression of FTS5 that any of them fulfils: each quoted, so that none is
/// read as an operator.
fn any_word(text: &str) -> Option<String> {
    const MOST: usize = 64;
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(MOST)
        .map(|word| format!("\"{word}\""))
        .collect();
    (!words.is_empty()).then(|| words.join(" OR "))
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
