use agentscale_core::budget::{Day, UsageQuery, UsageRecord};
use agentscale_core::{Account, Error, ErrorKind, Result, Tenant};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use crate::budget::{COUNTS, counts, from_counts, signed};
use crate::sqlite::{Insert, Rows, map_error};

static USAGE: Insert = Insert::new(
    "INSERT INTO usage (tenant, account, day, model, calls, input_tokens, cached_input_tokens, \
     cache_write_input_tokens, output_tokens, reasoning_tokens, cost, cut_calls, cut_tokens, cut_cost, unpriced_calls)",
    4 + COUNTS,
    // A sum of two integers that is none of SQLite's is a real number, above the largest integer.
    "ON CONFLICT DO UPDATE SET calls = min(calls + excluded.calls, 9223372036854775807), \
     input_tokens = min(input_tokens + excluded.input_tokens, 9223372036854775807), \
     cached_input_tokens = min(cached_input_tokens + excluded.cached_input_tokens, 9223372036854775807), \
     cache_write_input_tokens = min(cache_write_input_tokens + excluded.cache_write_input_tokens, 9223372036854775807), \
     output_tokens = min(output_tokens + excluded.output_tokens, 9223372036854775807), \
     reasoning_tokens = min(reasoning_tokens + excluded.reasoning_tokens, 9223372036854775807), \
     cost = min(cost + excluded.cost, 9223372036854775807), \
     cut_calls = min(cut_calls + excluded.cut_calls, 9223372036854775807), \
     cut_tokens = min(cut_tokens + excluded.cut_tokens, 9223372036854775807), \
     cut_cost = min(cut_cost + excluded.cut_cost, 9223372036854775807), \
     unpriced_calls = min(unpriced_calls + excluded.unpriced_calls, 9223372036854775807)",
);

pub(super) async fn add(connection: &mut SqliteConnection, records: &[UsageRecord]) -> Result<()> {
    let mut rows = Rows::new(&USAGE);
    for record in records {
        let tenant = record.tenant.as_ref().map_or("", Tenant::as_str).to_owned();
        let account = record.account.as_ref().map_or("", Account::as_str).to_owned();
        let row = rows.row().push(tenant).push(account).push(record.day.0).push(record.model.clone());
        let row = counts(&record.counts).into_iter().fold(row, |row, count| row.push(signed(count)));
        row.end()?;
    }
    rows.insert(connection, "record usage").await
}

/// What one account used: rows of its tenant and account alone.
pub(super) async fn read(readers: &SqlitePool, query: &UsageQuery) -> Result<Vec<UsageRecord>> {
    let operation = "read usage";
    let (day, model) = query.behind().map_or((-1, ""), |(day, model)| (i64::from(day.0), model));
    let rows = sqlx::query(
        "SELECT day, model, calls, input_tokens, cached_input_tokens, cache_write_input_tokens, output_tokens, \
         reasoning_tokens, cost, cut_calls, cut_tokens, cut_cost, unpriced_calls FROM usage \
         WHERE tenant = ?1 AND account = ?2 AND day BETWEEN ?3 AND ?4 AND (day, model) > (?5, ?6) \
         ORDER BY day, model LIMIT ?7",
    )
    .bind(query.tenant().map_or("", Tenant::as_str))
    .bind(query.account().map_or("", Account::as_str))
    .bind(query.from().0)
    .bind(query.until().0)
    .bind(day)
    .bind(model)
    .bind(i64::try_from(query.limit()).unwrap_or(i64::MAX))
    .fetch_all(readers)
    .await
    .map_err(map_error(operation))?;
    rows.iter().map(|row| decode(row, query, operation)).collect()
}

fn decode(row: &SqliteRow, query: &UsageQuery, operation: &'static str) -> Result<UsageRecord> {
    let failed = || map_error(operation);
    let mut numbers = [0; COUNTS];
    for (place, number) in numbers.iter_mut().enumerate() {
        let found: i64 = row.try_get(2 + place).map_err(failed())?;
        *number = u64::try_from(found).map_err(|_| Error::new(ErrorKind::Corrupt, operation))?;
    }
    let model: String = row.try_get(1).map_err(failed())?;
    let day = Day(row.try_get(0).map_err(failed())?);
    let record = UsageRecord::new(query.tenant().cloned(), query.account().cloned(), model, day);
    Ok(record.with_counts(from_counts(numbers)))
}
