use std::collections::BTreeMap;

use agentscale_core::budget::{Day, UsageCounts, UsageQuery, UsageRecord};
use agentscale_core::{Account, Error, ErrorKind, Result, Tenant};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::budget::{COUNTS, counts, from_counts, signed};
use crate::postgres::{Bound, map_error};

/// The records as columns, and all their counts one after the other. No account, day and model stands there twice.
pub(super) fn bind(bound: Bound, records: &[UsageRecord]) -> Bound {
    let mut sums = BTreeMap::<_, UsageCounts>::new();
    for record in records {
        let tenant = record.tenant.as_ref().map_or("", Tenant::as_str);
        let account = record.account.as_ref().map_or("", Account::as_str);
        let key = (tenant, account, i64::from(record.day.0), record.model.as_str());
        sums.entry(key).or_default().add(&record.counts);
    }
    let column = |of: fn(&(&str, &str, i64, &str)) -> String| sums.keys().map(of).collect::<Vec<_>>();
    let days: Vec<_> = sums.keys().map(|key| key.2).collect();
    let numbers: Vec<_> = sums.values().flat_map(counts).map(signed).collect();
    bound
        .with(column(|key| key.0.to_owned()))
        .with(column(|key| key.1.to_owned()))
        .with(days)
        .with(column(|key| key.3.to_owned()))
        .with(numbers)
}

pub(super) fn asked(query: &UsageQuery) -> Bound {
    let (day, model) = query.behind().map_or((-1, ""), |(day, model)| (i64::from(day.0), model));
    Bound::new()
        .with(query.tenant().map_or("", Tenant::as_str))
        .with(query.account().map_or("", Account::as_str))
        .with(i64::from(query.from().0))
        .with(i64::from(query.until().0))
        .with(day)
        .with(model)
        .with(i64::try_from(query.limit()).unwrap_or(i64::MAX))
}

pub(super) fn decode(row: &PgRow, query: &UsageQuery) -> Result<UsageRecord> {
    let operation = "read usage";
    let corrupt = |error| Error::new(ErrorKind::Corrupt, operation).with_source(error);
    let number = |column: usize| -> Result<u64> {
        let number: i64 = row.try_get(column).map_err(map_error(operation))?;
        u64::try_from(number).map_err(corrupt)
    };
    let mut numbers = [0; COUNTS];
    for (place, found) in numbers.iter_mut().enumerate() {
        *found = number(2 + place)?;
    }
    let day = Day(u32::try_from(number(0)?).map_err(corrupt)?);
    let model: String = row.try_get(1).map_err(map_error(operation))?;
    let record = UsageRecord::new(query.tenant().cloned(), query.account().cloned(), model, day);
    Ok(record.with_counts(from_counts(numbers)))
}
