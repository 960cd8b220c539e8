use agentscale_core::checkpoint::Epoch;
use agentscale_core::slots::{SlotExchange, SlotKey, SlotMember, fenced};
use agentscale_core::{Account, Error, ErrorKind, Result};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::slots::{Hold, micros, older};
use crate::sqlite::map_error;

/// Dissolves members whose lease has ended: their slots are free. After a step back of the clock no lease has more than its full
/// time to live.
pub(super) async fn expire(connection: &mut SqliteConnection, now: u64) -> Result<()> {
    let failed = || map_error("expire slots");
    sqlx::query("UPDATE members SET expires = ?1 + expires - seen, seen = ?1 WHERE seen > ?1")
        .bind(now.cast_signed())
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
    let ended = sqlx::query("DELETE FROM members WHERE expires <= ?1")
        .bind(now.cast_signed())
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
    if ended.rows_affected() > 0 {
        sqlx::query("DELETE FROM holds WHERE member NOT IN (SELECT counter FROM members)")
            .execute(connection)
            .await
            .map_err(failed())?;
    }
    Ok(())
}

pub(super) async fn join(connection: &mut SqliteConnection, ttl: u64, now: u64) -> Result<SlotMember> {
    let failed = || map_error("join slots");
    let row = sqlx::query("UPDATE slots SET joined = joined + 1 RETURNING incarnation, joined")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed())?;
    let incarnation: u32 = row.try_get(0).map_err(failed())?;
    let counter: i64 = row.try_get(1).map_err(failed())?;
    sqlx::query("INSERT INTO members VALUES (?1, ?2, ?3, ?4, 0)")
        .bind(counter)
        .bind(incarnation)
        .bind(now.saturating_add(ttl).cast_signed())
        .bind(now.cast_signed())
        .execute(connection)
        .await
        .map_err(failed())?;
    Ok(SlotMember::new(Epoch { incarnation, counter: counter.cast_unsigned() }))
}

/// Checks who exchanges, and renews its lease.
pub(super) async fn enter(
    connection: &mut SqliteConnection,
    exchange: &SlotExchange,
    now: u64,
) -> Result<Result<()>> {
    let operation = "exchange slots";
    let last: Option<i64> =
        sqlx::query_scalar("SELECT sequence FROM members WHERE counter = ?1 AND incarnation = ?2")
            .bind(exchange.epoch.counter.cast_signed())
            .bind(exchange.epoch.incarnation)
            .fetch_optional(&mut *connection)
            .await
            .map_err(map_error(operation))?;
    let Some(last) = last.map(i64::cast_unsigned) else { return Ok(Err(fenced(operation))) };
    if exchange.sequence <= last {
        return Ok(Err(older(exchange.sequence, last)));
    }
    sqlx::query("UPDATE members SET sequence = ?2, expires = ?3, seen = ?4 WHERE counter = ?1")
        .bind(exchange.epoch.counter.cast_signed())
        .bind(exchange.sequence.cast_signed())
        .bind(now.saturating_add(micros(exchange.ttl)).cast_signed())
        .bind(now.cast_signed())
        .execute(connection)
        .await
        .map_err(map_error(operation))?;
    Ok(Ok(()))
}

pub(super) async fn leave(connection: &mut SqliteConnection, epoch: Epoch) -> Result<Result<()>> {
    let failed = || map_error("leave slots");
    let member = epoch.counter.cast_signed();
    let left = sqlx::query("DELETE FROM members WHERE counter = ?1 AND incarnation = ?2")
        .bind(member)
        .bind(epoch.incarnation)
        .execute(&mut *connection)
        .await
        .map_err(failed())?;
    if left.rows_affected() == 0 {
        return Ok(Err(fenced("leave slots")));
    }
    sqlx::query("DELETE FROM holds WHERE member = ?1")
        .bind(member)
        .execute(connection)
        .await
        .map_err(failed())?;
    Ok(Ok(()))
}

/// What each member has of an account, and when it was last heard of.
pub(super) async fn read(connection: &mut SqliteConnection, key: &SlotKey) -> Result<Vec<(Hold, u64)>> {
    let rows = sqlx::query(
        "SELECT h.member, h.held, h.wanted, h.since, m.seen FROM holds h JOIN members m ON m.counter = h.member \
         WHERE h.tenant = ?1 AND h.account = ?2",
    )
    .bind(key.tenant.as_str())
    .bind(key.account.as_ref().map_or("", Account::as_str))
    .fetch_all(connection)
    .await
    .map_err(map_error("read slots"))?;
    rows.iter().map(decode).collect()
}

pub(super) async fn write(
    connection: &mut SqliteConnection,
    key: &SlotKey,
    member: u64,
    hold: Option<Hold>,
) -> Result<()> {
    let (tenant, account) = (key.tenant.as_str(), key.account.as_ref().map_or("", Account::as_str));
    let query = match hold {
        Some(hold) => sqlx::query("INSERT OR REPLACE INTO holds VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
            .bind(tenant)
            .bind(account)
            .bind(member.cast_signed())
            .bind(hold.held)
            .bind(hold.wanted)
            .bind(hold.since.cast_signed()),
        None => sqlx::query("DELETE FROM holds WHERE tenant = ?1 AND account = ?2 AND member = ?3")
            .bind(tenant)
            .bind(account)
            .bind(member.cast_signed()),
    };
    query.execute(connection).await.map_err(map_error("write slots"))?;
    Ok(())
}

fn decode(row: &SqliteRow) -> Result<(Hold, u64)> {
    let number = |column: usize| -> Result<u64> {
        let number: i64 = row.try_get(column).map_err(map_error("read slots"))?;
        Ok(number.cast_unsigned())
    };
    let slots = |column: usize| -> Result<u32> {
        let corrupt = |error| Error::new(ErrorKind::Corrupt, "read slots").with_source(error);
        u32::try_from(number(column)?).map_err(corrupt)
    };
    let hold = Hold { member: number(0)?, held: slots(1)?, wanted: slots(2)?, since: number(3)? };
    Ok((hold, number(4)?))
}
