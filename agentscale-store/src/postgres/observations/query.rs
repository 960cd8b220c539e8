use agentscale_core::Result;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::observations::{Columns, Dialect, ObservationQuery, ObservationRecord, Value, decode, filter};
use crate::postgres::{Bound, Postgres, Statement, map_error};

const OPERATION: &str = "query observations";

const DIALECT: Dialect = Dialect {
    mark: '$',
    table: "@.observations",
    fields: "fields::text",
    words: "words @@ {}::text::tsquery",
    // Words are of letters and digits alone.
    search: |words| words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" & "),
};

pub(super) fn select(postgres: &Postgres, query: &ObservationQuery) -> Result<(Statement, Bound)> {
    let (text, values) = filter(query, &DIALECT)?;
    let bound = values.into_iter().fold(Bound::new(), |bound, value| match value {
        Value::Text(text) => bound.with(text),
        Value::Number(number) => bound.with(number),
        Value::Small(number) => bound.with(number),
    });
    Ok((postgres.statement(OPERATION, &text), bound))
}

pub(super) fn record(row: &PgRow, query: &ObservationQuery) -> Result<ObservationRecord> {
    decode(columns(row, query).map_err(map_error(OPERATION))?)
}

fn columns<'r>(row: &'r PgRow, query: &ObservationQuery) -> sqlx::Result<Columns<'r>> {
    let (of_type, key): (Option<&str>, Option<&str>) = (row.try_get(9)?, row.try_get(10)?);
    Ok(Columns {
        tenant: query.tenant.clone(),
        key: (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?),
        writer: row.try_get(3)?,
        number: row.try_get(4)?,
        level: row.try_get(5)?,
        name: row.try_get(6)?,
        trace: row.try_get(7)?,
        task: row.try_get(8)?,
        agent: of_type.zip(key),
        fields: row.try_get(11)?,
        truncated: row.try_get(12)?,
    })
}
