use agentscale_core::budget::{Amount, Balance, BudgetId, Exchange, Exchanged, Held, Money};
use agentscale_core::{Error, ErrorKind, Result};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use crate::budget::{names, signed, unreadable};
use crate::sqlite::{Insert, Rows, map_error};

/// Budgets that are forgotten at once, at most.
const FORGOTTEN: u32 = 1_000;

static BUDGETS: Insert = Insert::new(
    "INSERT INTO budgets (name, id, ends, spent_tokens, spent_nanos, reserved_tokens, reserved_nanos, \
     forfeited_tokens, forfeited_nanos)",
    9,
    "ON CONFLICT (name) DO UPDATE SET spent_tokens = excluded.spent_tokens, spent_nanos = excluded.spent_nanos, \
     reserved_tokens = excluded.reserved_tokens, reserved_nanos = excluded.reserved_nanos",
);

static GRANTS: Insert = Insert::new(
    "INSERT OR REPLACE INTO grants (holder, budget, granted_tokens, granted_nanos, spent_tokens, spent_nanos)",
    6,
    "",
);

/// A budget and what one holder has of it.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    id: Option<i64>,
    balance: Balance,
    held: Held,
}

/// Settles each line: one statement reads all of them, and two write.
pub(super) async fn exchange(connection: &mut SqliteConnection, exchange: &Exchange) -> Result<Exchanged> {
    if exchange.lines.is_empty() {
        return Ok(Exchanged::default());
    }
    let operation = "exchange with ledger";
    let holder = exchange.epoch.counter.cast_signed();
    let names = names(exchange.lines.iter().map(|line| &line.budget))?;
    let mut found = read(connection, &names, holder, operation).await?;
    let mut next: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM budgets")
        .fetch_one(&mut *connection)
        .await
        .map_err(map_error(operation))?;
    let (mut budgets, mut grants) = (Rows::new(&BUDGETS), Rows::new(&GRANTS));
    let mut answer = Vec::with_capacity(exchange.lines.len());
    for ((line, name), Found { id, balance, held }) in exchange.lines.iter().zip(names).zip(&mut found) {
        answer.push(balance.exchange(held, line));
        let id = id.unwrap_or_else(|| {
            next += 1;
            next
        });
        let row = budgets.row().push(name).push(id).push(line.budget.end().map(signed));
        let row = [balance.spent, balance.reserved, balance.forfeited]
            .into_iter()
            .fold(row, |row, amount| row.push(signed(amount.tokens)).push(signed(amount.money.as_nanos())));
        row.end()?;
        let row = grants.row().push(holder).push(id);
        let row = [held.granted, held.spent]
            .into_iter()
            .fold(row, |row, amount| row.push(signed(amount.tokens)).push(signed(amount.money.as_nanos())));
        row.end()?;
    }
    budgets.insert(connection, operation).await?;
    grants.insert(connection, operation).await?;
    Ok(Exchanged::new(answer))
}

pub(super) async fn balances(
    connection: &mut SqliteConnection,
    budgets: &[BudgetId],
) -> Result<Vec<Balance>> {
    let found = read(connection, &names(budgets)?, 0, "read balances").await?;
    Ok(found.into_iter().map(|found| found.balance).collect())
}

/// Forgets some budgets whose periods are long over and of which nothing is set aside.
pub(super) async fn forget_old(connection: &mut SqliteConnection, now: u64) -> Result<()> {
    let failed = || map_error("forget budgets");
    let kept_for = u64::try_from(BudgetId::KEPT_FOR.as_micros()).unwrap_or(u64::MAX);
    let before = signed(now.saturating_sub(kept_for));
    let old: Option<String> = sqlx::query_scalar(
        "SELECT json_group_array(id) FROM (SELECT id FROM budgets WHERE ends IS NOT NULL AND ends < ?1 \
         AND reserved_tokens = 0 AND reserved_nanos = 0 LIMIT ?2)",
    )
    .bind(before)
    .bind(FORGOTTEN)
    .fetch_one(&mut *connection)
    .await
    .map_err(failed())?;
    let Some(old) = old.filter(|old| old != "[]") else { return Ok(()) };
    for statement in [
        "DELETE FROM grants WHERE budget IN (SELECT value FROM json_each(?1))",
        "DELETE FROM budgets WHERE id IN (SELECT value FROM json_each(?1))",
    ] {
        sqlx::query(statement).bind(&old).execute(&mut *connection).await.map_err(failed())?;
    }
    Ok(())
}

/// Each budget by its name, empty where there is no row.
async fn read(
    connection: &mut SqliteConnection,
    names: &[String],
    holder: i64,
    operation: &'static str,
) -> Result<Vec<Found>> {
    let list = serde_json::to_string(names).map_err(|error| unreadable(error, operation))?;
    let rows = sqlx::query(
        "SELECT j.key, b.id, b.spent_tokens, b.spent_nanos, b.reserved_tokens, b.reserved_nanos, \
         b.forfeited_tokens, b.forfeited_nanos, coalesce(g.granted_tokens, 0), coalesce(g.granted_nanos, 0), \
         coalesce(g.spent_tokens, 0), coalesce(g.spent_nanos, 0) \
         FROM json_each(?1) j CROSS JOIN budgets b ON b.name = j.value \
         LEFT JOIN grants g ON g.holder = ?2 AND g.budget = b.id",
    )
    .bind(list)
    .bind(holder)
    .fetch_all(connection)
    .await
    .map_err(map_error(operation))?;
    let mut found = vec![Found::default(); names.len()];
    for row in rows {
        let place: i64 = row.try_get(0).map_err(map_error(operation))?;
        let place = usize::try_from(place).ok().and_then(|place| found.get_mut(place));
        if let Some(place) = place {
            *place = decode(&row, operation)?;
        }
    }
    Ok(found)
}

fn decode(row: &SqliteRow, operation: &'static str) -> Result<Found> {
    let number = |column: usize| -> Result<u64> {
        let number: i64 = row.try_get(column).map_err(map_error(operation))?;
        u64::try_from(number).map_err(|_| Error::new(ErrorKind::Corrupt, operation))
    };
    let amount = |column: usize| -> Result<Amount> {
        Ok(Amount::new(number(column)?, Money::from_nanos(number(column + 1)?)))
    };
    let balance = Balance { spent: amount(2)?, reserved: amount(4)?, forfeited: amount(6)? };
    let held = Held { granted: amount(8)?, spent: amount(10)? };
    Ok(Found { id: Some(number(1)?.cast_signed()), balance, held })
}
