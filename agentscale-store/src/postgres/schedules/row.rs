use agentscale_core::jobs::JobId;
use agentscale_core::schedule::{
    Epoch, Execution, ExecutionOutcome, HistoryCursor, Revision, ScheduleInfo, ScheduleKey,
};
use agentscale_core::{Error, ErrorKind, Result};
use bytes::Bytes;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::postgres::map_error;
use crate::schedule::record::{Definition, Record};

const OPERATION: &str = "read schedule";
/// Columns of a schedule, behind which others may stand.
pub(super) const COLUMNS: usize = 15;

/// # Errors
/// `corrupt` for a row that cannot be read.
pub(super) fn decode(row: &PgRow) -> Result<Record> {
    let unreadable = |error: Error| Error::new(ErrorKind::Corrupt, OPERATION).with_source(error);
    let tenant = get::<&str>(row, 1)?.try_into().map_err(unreadable)?;
    let name = get::<&str>(row, 2)?.try_into().map_err(unreadable)?;
    let payload = Bytes::copy_from_slice(get(row, 7)?);
    let schedule = Definition::decode(get(row, 6)?, payload, ScheduleKey { tenant, name })?;
    let mut info = ScheduleInfo::new(schedule, Revision(number(row, 3)?), epoch(row, 4)?);
    info.is_paused = get(row, 8)?;
    info.next_run_at = get::<Option<i64>>(row, 9)?.map(i64::cast_unsigned);
    info.last_fired_at = get::<Option<i64>>(row, 10)?.map(i64::cast_unsigned);
    info.counts.fired = number(row, 11)?;
    info.counts.late = number(row, 12)?;
    info.counts.missed = number(row, 13)?;
    info.counts.overlapped = number(row, 14)?;
    Ok(Record { id: get(row, 0)?, info })
}

/// # Errors
/// `corrupt` for a row that cannot be read.
pub(super) fn execution(row: &PgRow) -> Result<Execution> {
    let corrupt = || Error::new(ErrorKind::Corrupt, OPERATION);
    let job = || -> Result<JobId> { Ok(JobId(get::<Option<Uuid>>(row, 6)?.ok_or_else(corrupt)?)) };
    let outcome = match get::<i16>(row, 5)? {
        0 => ExecutionOutcome::Enqueued(job()?),
        1 => ExecutionOutcome::Overlapped(job()?),
        2 => ExecutionOutcome::Missed,
        _ => return Err(corrupt()),
    };
    let cursor = HistoryCursor(get(row, 0)?);
    let mut line = Execution::new(cursor, epoch(row, 1)?, number(row, 3)?, number(row, 4)?, outcome);
    line.missed = number(row, 7)?;
    Ok(line)
}

pub(super) fn get<'r, T>(row: &'r PgRow, column: usize) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(column).map_err(map_error(OPERATION))
}

pub(super) fn number(row: &PgRow, column: usize) -> Result<u64> {
    Ok(get::<i64>(row, column)?.cast_unsigned())
}

/// It stands in two columns.
fn epoch(row: &PgRow, column: usize) -> Result<Epoch> {
    let incarnation = u32::try_from(get::<i64>(row, column)?);
    let incarnation =
        incarnation.map_err(|error| Error::new(ErrorKind::Corrupt, OPERATION).with_source(error))?;
    Ok(Epoch { incarnation, counter: number(row, column + 1)? })
}
