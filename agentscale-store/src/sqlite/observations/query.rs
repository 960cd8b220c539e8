use agentscale_core::Result;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _, SqlitePool};

use crate::observations::{
    Columns, Dialect, ObservationPage, ObservationQuery, ObservationRecord, Value, decode, filter,
};
use crate::sqlite::map_error;

const OPERATION: &str = "query observations";

const DIALECT: Dialect = Dialect {
    mark: '?',
    table: "observations",
    fields: "fields",
    words: "seq IN (SELECT rowid FROM observation_words WHERE observation_words MATCH {})",
    // Words are of letters and digits alone.
    search: |words| words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" "),
};

pub(super) async fn read(readers: &SqlitePool, query: &ObservationQuery) -> Result<ObservationPage> {
    let (text, values) = filter(query, &DIALECT)?;
    let mut select = sqlx::query(AssertSqlSafe(text));
    for value in values {
        select = match value {
            Value::Text(text) => select.bind(text),
            Value::Number(number) => select.bind(number),
            Value::Small(number) => select.bind(number),
        };
    }
    let rows = select.fetch_all(readers).await.map_err(map_error(OPERATION))?;
    let records = rows.iter().map(|row| record(row, query)).collect::<Result<_>>()?;
    Ok(ObservationPage::of(records, query.limit))
}

fn record(row: &SqliteRow, query: &ObservationQuery) -> Result<ObservationRecord> {
    decode(columns(row, query).map_err(map_error(OPERATION))?)
}

fn columns<'r>(row: &'r SqliteRow, query: &ObservationQuery) -> sqlx::Result<Columns<'r>> {
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
