use agentscale_core::Result;
use async_trait::async_trait;
use sqlx::{Row as _, SqlitePool};

use super::SqliteObservationStore;
use super::writer::{Op, Retiring};
use crate::archive::{Retirement, RowSource, export};
use crate::month::Month;
use crate::sqlite::map_error;

const OPERATION: &str = "retire observations";
/// Rows that are read at once.
const PAGE: i64 = 1_000;

/// Archives and removes months that are too old, the oldest first, and says which.
pub(super) async fn retire(store: &SqliteObservationStore, unix_micros: u64) -> Result<Vec<String>> {
    let shared = &store.shared;
    let mut retired = Vec::new();
    if matches!(shared.config.retirement, Retirement::Keep) {
        return Ok(retired);
    }
    let oldest = Month::of(unix_micros).minus(shared.config.keep_months).start().cast_signed();
    loop {
        // One that was archived before is removed first: what is left of it is not to be archived again.
        let month = match begun(&shared.readers).await? {
            Some(month) => month,
            None => {
                let Some(month) = next(&shared.readers, oldest).await? else { return Ok(retired) };
                if let Retirement::Archive(archive) = &shared.config.retirement {
                    let mut rows = MonthRows::of(&shared.readers, &month);
                    export(archive, "observations", &month.name, &mut rows).await?;
                }
                store.ask(|answer| Op::Retire(month.clone(), answer)).await?;
                month
            }
        };
        while store.ask(|answer| Op::Remove(month.clone(), answer)).await? {}
        retired.push(month.name);
    }
}

async fn begun(readers: &SqlitePool) -> Result<Option<Retiring>> {
    let row = sqlx::query("SELECT low, high, name, last_seq FROM retiring ORDER BY low LIMIT 1")
        .fetch_optional(readers)
        .await
        .map_err(map_error(OPERATION))?;
    let month = row.map(|row| -> sqlx::Result<_> {
        let (low, high) = (row.try_get(0)?, row.try_get(1)?);
        Ok(Retiring { low, high, name: row.try_get(2)?, last_seq: row.try_get(3)? })
    });
    month.transpose().map_err(map_error(OPERATION))
}

/// The month of the oldest row, where that is too old.
async fn next(readers: &SqlitePool, oldest: i64) -> Result<Option<Retiring>> {
    let row = sqlx::query(
        "SELECT at, (SELECT max(seq) FROM observations) FROM observations WHERE at < ?1 ORDER BY at LIMIT 1",
    )
    .bind(oldest)
    .fetch_optional(readers)
    .await
    .map_err(map_error(OPERATION))?;
    let month = row.map(|row| -> sqlx::Result<_> {
        let month = Month::of(row.try_get::<i64, _>(0)?.cast_unsigned());
        let (low, high) = (month.start().cast_signed(), month.plus(1).start().cast_signed());
        Ok(Retiring { low, high, name: month.to_string(), last_seq: row.try_get(1)? })
    });
    month.transpose().map_err(map_error(OPERATION))
}

/// The rows of a month in the order of their stamps.
#[derive(Debug)]
struct MonthRows<'a> {
    readers: &'a SqlitePool,
    month: &'a Retiring,
    last: (i64, i64),
}

impl<'a> MonthRows<'a> {
    fn of(readers: &'a SqlitePool, month: &'a Retiring) -> Self {
        Self { readers, month, last: (month.low, 0) }
    }
}

#[async_trait]
impl RowSource for MonthRows<'_> {
    fn restart(&mut self) {
        self.last = (self.month.low, 0);
    }

    async fn next(&mut self) -> Result<Vec<String>> {
        let rows = sqlx::query(
            "SELECT at, seq, json_object('tenant', tenant, 'at', at, 'counter', counter, 'node', node, \
             'writer', writer, 'number', number, 'level', level, 'name', name, 'trace', trace, 'task', task, \
             'agent_type', agent_type, 'agent_key', agent_key, 'fields', json(fields), \
             'truncated', json(iif(truncated, 'true', 'false'))) \
             FROM observations WHERE (at, seq) > (?1, ?2) AND at < ?3 AND seq <= ?4 ORDER BY at, seq LIMIT ?5",
        )
        .bind(self.last.0)
        .bind(self.last.1)
        .bind(self.month.high)
        .bind(self.month.last_seq)
        .bind(PAGE)
        .fetch_all(self.readers)
        .await
        .map_err(map_error(OPERATION))?;
        if let Some(row) = rows.last() {
            let last = || -> sqlx::Result<_> { Ok((row.try_get(0)?, row.try_get(1)?)) };
            self.last = last().map_err(map_error(OPERATION))?;
        }
        let texts = rows.iter().map(|row| row.try_get(2));
        texts.collect::<sqlx::Result<_>>().map_err(map_error(OPERATION))
    }
}
