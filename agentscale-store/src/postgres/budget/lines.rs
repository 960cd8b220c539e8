use agentscale_core::budget::{Amount, Balance, Exchange, Grant, GrantLine, Money};
use agentscale_core::{Error, ErrorKind, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::micros;
use crate::budget::signed;
use crate::postgres::{Bound, map_error};
use agentscale_core::budget::BudgetId;

const OPERATION: &str = "exchange with ledger";

/// What an operation of a holder came to.
pub(super) enum Verdict {
    Done,
    Fenced,
    Older {
        last: u64,
    },
    /// The holder has changed since the statement began.
    Changed,
    /// Not each of the budgets has a row.
    Missing,
}

pub(super) struct Answer {
    pub(super) verdict: Verdict,
    /// Whether there is what nobody has dissolved or forgotten yet.
    pub(super) is_untidy: bool,
    pub(super) grants: Vec<Grant>,
}

/// The arguments behind those of the holder.
pub(super) fn bind(bound: Bound, exchange: &Exchange, names: &[String]) -> Bound {
    let each = |of: fn(&GrantLine) -> Option<u64>| -> Vec<Option<i64>> {
        exchange.lines.iter().map(|line| of(line).map(signed)).collect()
    };
    bound
        .with(signed(exchange.sequence))
        .with(micros(exchange.lease))
        .with(micros(BudgetId::KEPT_FOR))
        .with(names)
        .with(each(|line| line.limit.tokens))
        .with(each(|line| line.limit.money.map(Money::as_nanos)))
        .with(each(|line| Some(line.spent.tokens)))
        .with(each(|line| Some(line.spent.money.as_nanos())))
        .with(each(|line| Some(line.least.tokens)))
        .with(each(|line| Some(line.least.money.as_nanos())))
        .with(each(|line| Some(line.most.tokens)))
        .with(each(|line| Some(line.most.money.as_nanos())))
}

/// A row for each line, and one at the least where there is such a holder.
pub(super) fn read(rows: &[PgRow]) -> Result<Answer> {
    let mut verdict = verdict(rows.first())?;
    let Some(first) = rows.first() else {
        return Ok(Answer { verdict, is_untidy: false, grants: Vec::new() });
    };
    if let Verdict::Older { last } = &mut verdict {
        *last = number(first, 1)?.unwrap_or(0);
    }
    let is_untidy = first.try_get(2).map_err(map_error(OPERATION))?;
    let grants = rows.iter().map(grant).filter_map(Result::transpose).collect::<Result<_>>()?;
    Ok(Answer { verdict, is_untidy, grants })
}

/// There is no row where there is no such holder.
pub(super) fn verdict(row: Option<&PgRow>) -> Result<Verdict> {
    let Some(row) = row else { return Ok(Verdict::Fenced) };
    match row.try_get::<i32, _>(0).map_err(map_error(OPERATION))? {
        0 => Ok(Verdict::Done),
        1 => Ok(Verdict::Fenced),
        2 => Ok(Verdict::Older { last: 0 }),
        3 => Ok(Verdict::Changed),
        4 => Ok(Verdict::Missing),
        _ => Err(Error::new(ErrorKind::Internal, OPERATION)),
    }
}

pub(super) fn balance(row: &PgRow) -> Result<Balance> {
    let amount = |column| -> Result<Amount> {
        let (tokens, nanos) = (number(row, column)?.unwrap_or(0), number(row, column + 1)?.unwrap_or(0));
        Ok(Amount::new(tokens, Money::from_nanos(nanos)))
    };
    Ok(Balance { spent: amount(0)?, reserved: amount(2)?, forfeited: amount(4)? })
}

fn grant(row: &PgRow) -> Result<Option<Grant>> {
    let (Some(tokens), Some(nanos)) = (number(row, 3)?, number(row, 4)?) else { return Ok(None) };
    let left = Amount {
        tokens: number(row, 5)?.unwrap_or(u64::MAX),
        money: number(row, 6)?.map_or(Money::MAX, Money::from_nanos),
    };
    Ok(Some(Grant::new(Amount::new(tokens, Money::from_nanos(nanos)), left)))
}

fn number(row: &PgRow, column: usize) -> Result<Option<u64>> {
    let number: Option<i64> = row.try_get(column).map_err(map_error(OPERATION))?;
    let corrupt = |error| Error::new(ErrorKind::Corrupt, OPERATION).with_source(error);
    number.map(|number| u64::try_from(number).map_err(corrupt)).transpose()
}
