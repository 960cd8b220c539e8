use std::time::Duration;

use agentscale_core::lease::{Epoch, Holding, LeaseInfo};
use agentscale_core::{Error, ErrorKind, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::postgres::map_error;

/// What the acquisition has made of a lease.
pub(super) struct Acquired {
    pub(super) epoch: Epoch,
    /// Whether the last grant is that of this request.
    pub(super) is_ours: bool,
    pub(super) holding: Option<Holding>,
}

pub(super) fn acquired(row: Option<&PgRow>) -> Result<Acquired> {
    let operation = "acquire lease";
    let row = row.ok_or_else(|| Error::new(ErrorKind::Internal, operation))?;
    Ok(Acquired {
        epoch: epoch(row, operation)?,
        is_ours: row.try_get(2).map_err(map_error(operation))?,
        holding: holding(row, operation)?,
    })
}

/// The epoch of the last grant, and whether it is the one that was shown; there is no row where there was no grant.
pub(super) fn owned(row: Option<&PgRow>) -> Result<(Epoch, bool)> {
    let operation = "read lease";
    match row {
        Some(row) => Ok((epoch(row, operation)?, row.try_get(2).map_err(map_error(operation))?)),
        None => Ok((Epoch::default(), false)),
    }
}

pub(super) fn read(row: Option<&PgRow>) -> Result<LeaseInfo> {
    let operation = "read lease";
    match row {
        Some(row) => Ok(LeaseInfo::new(epoch(row, operation)?, holding(row, operation)?)),
        None => Ok(LeaseInfo::default()),
    }
}

fn epoch(row: &PgRow, operation: &'static str) -> Result<Epoch> {
    let incarnation: i64 = row.try_get(0).map_err(map_error(operation))?;
    let counter: i64 = row.try_get(1).map_err(map_error(operation))?;
    let incarnation = u32::try_from(incarnation)
        .map_err(|error| Error::new(ErrorKind::Corrupt, operation).with_source(error))?;
    Ok(Epoch { incarnation, counter: counter.cast_unsigned() })
}

/// Holder, note, since when, how long: the columns 3 to 6.
fn holding(row: &PgRow, operation: &'static str) -> Result<Option<Holding>> {
    let failed = || map_error(operation);
    let unreadable = |error: Error| Error::new(ErrorKind::Corrupt, operation).with_source(error);
    let Some(holder) = row.try_get::<Option<&str>, _>(3).map_err(failed())? else { return Ok(None) };
    let note: Option<&str> = row.try_get(4).map_err(failed())?;
    let since: i64 = row.try_get(5).map_err(failed())?;
    let remaining: i64 = row.try_get(6).map_err(failed())?;
    let remaining = Duration::from_micros(u64::try_from(remaining).unwrap_or(0));
    let holding = Holding::new(holder.try_into().map_err(unreadable)?, since.cast_unsigned(), remaining);
    Ok(Some(holding.with_note(note.map(TryInto::try_into).transpose().map_err(unreadable)?)))
}
