use agentscale_core::budget::{Day, Money, UsageCounts, UsageQuery, UsageRecord};
use agentscale_core::{Account, Error, ErrorKind, Result, Tenant};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqlitePool};

use super::holders::signed;
use crate::sqlite::{Insert, Rows, map_error};

const COUNTS: usize = 11;

static USAGE: Insert = Insert::new(
    "INSERT INTO usage (tenant, account, day, model, calls, input_tokens, cached_input_tokens, \
     cache_write_input_tokens, output_tokens, reasoning_tokens, cost, cut_calls, cut_tokens, cut_cost, unpriced_calls)",
    4 + COUNTS,
    "ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, input_tokens = input_tokens + excluded.input_tokens, \
     cached_input_tokens = cached_input_tokens + excluded.cached_input_tokens, \
     cache_write_input_tokens = cache_write_input_tokens + excluded.cache_write_input_tokens, \
     output_tokens = output_tokens + excluded.output_tokens, \
     reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens, cost = cost + excluded.cost, \
     cut_calls = cut_calls + excluded.cut_calls, cut_tokens = cut_tokens + excluded.cut_tokens, \
     cut_cost = cut_cost + excluded.cut_cost, unpriced_calls = unpriced_calls + excluded.unpriced_calls",
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

fn counts(counts: &UsageCounts) -> [u64; COUNTS] {
    [
        counts.calls,
        counts.input_tokens,
        counts.cached_input_tokens,
        counts.cache_write_input_tokens,
        counts.output_tokens,
        counts.reasoning_tokens,
        counts.cost.as_nanos(),
        counts.cut_calls,
        counts.cut_tokens,
        counts.cut_cost.as_nanos(),
        counts.unpriced_calls,
    ]
}

fn from_counts(numbers: [u64; COUNTS]) -> UsageCounts {
    let [
        calls,
        input,
        cached,
        cache_write,
        output,
        reasoning,
        cost,
        cut_calls,
        cut_tokens,
        cut_cost,
        unpriced,
    ] = numbers;
    let mut counts = UsageCounts::default();
    counts.calls = calls;
    counts.input_tokens = input;
    counts.cached_input_tokens = cached;
    counts.cache_write_input_tokens = cache_write;
    counts.output_tokens = output;
    counts.reasoning_tokens = reasoning;
    counts.cost = Money::from_nanos(cost);
    counts.cut_calls = cut_calls;
    counts.cut_tokens = cut_tokens;
    counts.cut_cost = Money::from_nanos(cut_cost);
    counts.unpriced_calls = unpriced;
    counts
}
