use agentscale_core::Result;
use agentscale_core::budget::{Exchange, Holder, JoinRequest};
use agentscale_core::checkpoint::Epoch;
use sqlx::{Row, SqliteConnection};

use crate::budget::{fenced, older, signed};
use crate::sqlite::map_error;

/// Dissolves holders whose lease has ended: what was set aside for them counts as spent.
pub(super) async fn expire(connection: &mut SqliteConnection, now: u64) -> Result<()> {
    let failed = || map_error("expire holders");
    let ended: Option<i64> = sqlx::query_scalar("SELECT 1 FROM holders WHERE expires <= ?1 LIMIT 1")
        .bind(now.cast_signed())
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed())?;
    if ended.is_none() {
        return Ok(());
    }
    for statement in [
        "UPDATE budgets SET spent_tokens = min(spent_tokens + g.tokens, 9223372036854775807), \
           spent_nanos = min(spent_nanos + g.nanos, 9223372036854775807), \
           forfeited_tokens = min(forfeited_tokens + g.tokens, 9223372036854775807), \
           forfeited_nanos = min(forfeited_nanos + g.nanos, 9223372036854775807), \
           reserved_tokens = max(reserved_tokens - g.tokens, 0), reserved_nanos = max(reserved_nanos - g.nanos, 0) \
         FROM (SELECT budget, sum(granted_tokens - spent_tokens) AS tokens, sum(granted_nanos - spent_nanos) AS nanos \
               FROM grants WHERE holder IN (SELECT counter FROM holders WHERE expires <= ?1) GROUP BY budget) g \
         WHERE budgets.id = g.budget",
        "DELETE FROM grants WHERE holder IN (SELECT counter FROM holders WHERE expires <= ?1)",
        "DELETE FROM holders WHERE expires <= ?1",
    ] {
        sqlx::query(statement).bind(now.cast_signed()).execute(&mut *connection).await.map_err(failed())?;
    }
    Ok(())
}

pub(super) async fn join(connection: &mut SqliteConnection, request: &JoinRequest) -> Result<Holder> {
    let failed = || map_error("join ledger");
    let row = sqlx::query("UPDATE ledger SET joined = joined + 1 RETURNING incarnation, joined")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed())?;
    let incarnation: u32 = row.try_get(0).map_err(failed())?;
    let counter: i64 = row.try_get(1).map_err(failed())?;
    sqlx::query("INSERT INTO holders (counter, incarnation, expires, sequence) VALUES (?1, ?2, ?3, 0)")
        .bind(counter)
        .bind(incarnation)
        .bind(signed(request.expires()))
        .execute(connection)
        .await
        .map_err(failed())?;
    Ok(Holder::new(Epoch { incarnation, counter: counter.cast_unsigned() }))
}

/// Checks who exchanges and renews its lease; says whether the exchange is the first under its number.
pub(super) async fn enter(connection: &mut SqliteConnection, exchange: &Exchange) -> Result<Result<bool>> {
    let failed = || map_error("exchange with ledger");
    let last: Option<i64> =
        sqlx::query_scalar("SELECT sequence FROM holders WHERE counter = ?1 AND incarnation = ?2")
            .bind(exchange.epoch.counter.cast_signed())
            .bind(exchange.epoch.incarnation)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed())?;
    let Some(last) = last.map(i64::cast_unsigned) else { return Ok(Err(fenced("exchange with ledger"))) };
    if exchange.sequence < last {
        return Ok(Err(older(exchange.sequence, last)));
    }
    sqlx::query("UPDATE holders SET sequence = ?2, expires = ?3 WHERE counter = ?1")
        .bind(exchange.epoch.counter.cast_signed())
        .bind(exchange.sequence.cast_signed())
        .bind(signed(exchange.expires()))
        .execute(connection)
        .await
        .map_err(failed())?;
    Ok(Ok(exchange.sequence > last))
}

pub(super) async fn leave(connection: &mut SqliteConnection, epoch: Epoch) -> Result<Result<()>> {
    let failed = || map_error("leave ledger");
    let holder = epoch.counter.cast_signed();
    let left = sqlx::query("DELETE FROM holders WHERE counter = ?1 AND incarnation = ?2")
        .bind(holder)
        .bind(epoch.incarnation)
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
    if left.rows_affected() == 0 {
        return Ok(Err(fenced("leave ledger")));
    }
    for statement in [
        "UPDATE budgets SET reserved_tokens = max(reserved_tokens - (g.granted_tokens - g.spent_tokens), 0), \
           reserved_nanos = max(reserved_nanos - (g.granted_nanos - g.spent_nanos), 0) \
         FROM grants g WHERE g.holder = ?1 AND budgets.id = g.budget",
        "DELETE FROM grants WHERE holder = ?1",
    ] {
        sqlx::query(statement).bind(holder).execute(&mut *connection).await.map_err(failed())?;
    }
    Ok(Ok(()))
}
