use agentscale_core::checkpoint::Epoch;
use agentscale_core::slots::{SlotExchange, SlotGrant, SlotKey, SlotLine, SlotMember, TURN_KEPT_FOR};
use agentscale_core::{Account, Error, ErrorKind, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::micros;
use crate::postgres::{Bound, map_error};

const OPERATION: &str = "exchange slots";

/// What an operation of a member came to.
pub(super) enum Verdict {
    Done,
    Fenced,
    Older {
        last: u64,
    },
    /// The member or an account has changed since the statement began.
    Changed,
    /// Not each of the accounts has a row.
    Missing,
}

pub(super) struct Answer {
    pub(super) verdict: Verdict,
    /// Whether there are members that nobody has dissolved yet.
    pub(super) is_untidy: bool,
    pub(super) grants: Vec<SlotGrant>,
}

/// The arguments behind those of the member.
pub(super) fn bind(bound: Bound, exchange: &SlotExchange) -> Bound {
    let each = |of: fn(&SlotLine) -> u32| -> Vec<_> {
        exchange.lines.iter().map(|line| i64::from(of(line))).collect()
    };
    let bound = bound
        .with(i64::try_from(exchange.sequence).unwrap_or(i64::MAX))
        .with(micros(exchange.ttl))
        .with(micros(TURN_KEPT_FOR));
    named(bound, exchange.lines.iter().map(|line| &line.key))
        .with(each(|line| line.limit))
        .with(each(|line| line.used))
        .with(each(|line| line.wanted))
}

/// Tenants and accounts, a column each.
pub(super) fn named<'a>(bound: Bound, keys: impl IntoIterator<Item = &'a SlotKey>) -> Bound {
    let name = |key: &'a SlotKey| (key.tenant.as_str(), key.account.as_ref().map_or("", Account::as_str));
    let (tenants, accounts): (Vec<_>, Vec<_>) = keys.into_iter().map(name).unzip();
    bound.with(tenants).with(accounts)
}

pub(super) fn joined(row: Option<&PgRow>) -> Result<SlotMember> {
    let operation = "join slots";
    let row = row.ok_or_else(|| Error::new(ErrorKind::Internal, operation))?;
    let incarnation: i64 = row.try_get(0).map_err(map_error(operation))?;
    let counter: i64 = row.try_get(1).map_err(map_error(operation))?;
    let incarnation = u32::try_from(incarnation)
        .map_err(|error| Error::new(ErrorKind::Corrupt, operation).with_source(error))?;
    Ok(SlotMember::new(Epoch { incarnation, counter: counter.cast_unsigned() }))
}

/// A row for each line, and one at the least where there is such a member.
pub(super) fn read(rows: &[PgRow]) -> Result<Answer> {
    let verdict = verdict(rows.first())?;
    let Some(first) = rows.first() else {
        return Ok(Answer { verdict, is_untidy: false, grants: Vec::new() });
    };
    let is_untidy = first.try_get(2).map_err(map_error(OPERATION))?;
    let has_line = |row: &&PgRow| !matches!(row.try_get::<Option<i64>, _>(3), Ok(None));
    let grant = |row: &PgRow| Ok(SlotGrant::new(slots(row, 3)?, slots(row, 4)?));
    let grants = rows.iter().filter(has_line).map(grant).collect::<Result<_>>()?;
    Ok(Answer { verdict, is_untidy, grants })
}

/// There is no row where there is no such member.
pub(super) fn verdict(row: Option<&PgRow>) -> Result<Verdict> {
    let Some(row) = row else { return Ok(Verdict::Fenced) };
    match row.try_get::<i32, _>(0).map_err(map_error(OPERATION))? {
        0 => Ok(Verdict::Done),
        1 => Ok(Verdict::Fenced),
        2 => {
            let last: i64 = row.try_get(1).map_err(map_error(OPERATION))?;
            Ok(Verdict::Older { last: last.cast_unsigned() })
        }
        3 => Ok(Verdict::Changed),
        4 => Ok(Verdict::Missing),
        _ => Err(Error::new(ErrorKind::Internal, OPERATION)),
    }
}

pub(super) fn slots(row: &PgRow, column: usize) -> Result<u32> {
    let number: i64 = row.try_get(column).map_err(map_error(OPERATION))?;
    u32::try_from(number).map_err(|error| Error::new(ErrorKind::Corrupt, OPERATION).with_source(error))
}
