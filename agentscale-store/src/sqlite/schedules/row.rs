use agentscale_core::jobs::JobId;
use agentscale_core::schedule::{
    Epoch, Execution, ExecutionOutcome, HistoryCursor, Revision, ScheduleInfo, ScheduleKey,
};
use agentscale_core::{Error, ErrorKind, Result};
use bytes::Bytes;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::schedule::record::{Definition, Record};
use crate::sqlite::map_error;

/// What [`decode`] reads, in its order.
pub(super) const COLUMNS: &str = "id, tenant, name, revision, incarnation, counter, definition, payload, paused, \
    next_run_at, last_fired_at, fired, late, missed, overlapped";
/// What [`execution`] reads, in its order.
pub(super) const LINE: &str = "seq, incarnation, counter, run_at, fired_at, outcome, job, missed";

/// # Errors
/// `corrupt` for a row that cannot be read.
pub(super) fn decode(row: &SqliteRow, operation: &'static str) -> Result<Record> {
    let columns = Columns { row, operation };
    let unreadable = |error: Error| Error::new(ErrorKind::Corrupt, operation).with_source(error);
    let tenant = columns.get::<&str>(1)?.try_into().map_err(unreadable)?;
    let name = columns.get::<&str>(2)?.try_into().map_err(unreadable)?;
    let payload = Bytes::copy_from_slice(columns.get(7)?);
    let schedule = Definition::decode(columns.get(6)?, payload, ScheduleKey { tenant, name })?;
    let mut info = ScheduleInfo::new(schedule, Revision(columns.number(3)?), columns.epoch(4)?);
    info.is_paused = columns.get(8)?;
    info.next_run_at = columns.get::<Option<i64>>(9)?.map(i64::cast_unsigned);
    info.last_fired_at = columns.get::<Option<i64>>(10)?.map(i64::cast_unsigned);
    info.counts.fired = columns.number(11)?;
    info.counts.late = columns.number(12)?;
    info.counts.missed = columns.number(13)?;
    info.counts.overlapped = columns.number(14)?;
    Ok(Record { id: columns.get(0)?, info })
}

/// # Errors
/// `corrupt` for a row that cannot be read.
pub(super) fn execution(row: &SqliteRow) -> Result<Execution> {
    let operation = "read history of schedule";
    let columns = Columns { row, operation };
    let corrupt = || Error::new(ErrorKind::Corrupt, operation);
    let job = || -> Result<JobId> {
        let bytes = columns.get::<Option<&[u8]>>(6)?.ok_or_else(corrupt)?;
        Ok(JobId(Uuid::from_slice(bytes).map_err(|error| corrupt().with_source(error))?))
    };
    let outcome = match columns.get::<i64>(5)? {
        0 => ExecutionOutcome::Enqueued(job()?),
        1 => ExecutionOutcome::Overlapped(job()?),
        2 => ExecutionOutcome::Missed,
        _ => return Err(corrupt()),
    };
    let cursor = HistoryCursor(columns.get(0)?);
    let mut line = Execution::new(cursor, columns.epoch(1)?, columns.number(3)?, columns.number(4)?, outcome);
    line.missed = columns.number(7)?;
    Ok(line)
}

struct Columns<'r> {
    row: &'r SqliteRow,
    operation: &'static str,
}

impl<'r> Columns<'r> {
    fn get<T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(&self, column: usize) -> Result<T> {
        self.row.try_get(column).map_err(map_error(self.operation))
    }

    fn number(&self, column: usize) -> Result<u64> {
        Ok(self.get::<i64>(column)?.cast_unsigned())
    }

    /// It stands in two columns.
    fn epoch(&self, column: usize) -> Result<Epoch> {
        Ok(Epoch { incarnation: self.get(column)?, counter: self.number(column + 1)? })
    }
}
