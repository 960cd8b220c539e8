//! Slots in a database of PostgreSQL.

mod rows;

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::Epoch;
use agentscale_core::lease::check_ttl;
use agentscale_core::slots::{
    JoinRequest, LeaveRequest, SlotExchange, SlotKey, SlotMember, SlotsExchanged, fenced,
};
use agentscale_core::{Error, ErrorKind, Result, Retry, SlotStore};
use async_trait::async_trait;

use super::{Bound, Component, Postgres, PostgresConfig, Statement};
use crate::slots::older;
use rows::Verdict;

const COMPONENT: Component =
    Component { name: "slots", migrations: &[include_str!("../../migrations/postgres/0001_slots.sql")] };

/// How often an operation is asked that met another one on its member, or accounts that are named for the first time.
const ATTEMPTS: u32 = 16;

/// Counts slots in one schema of a PostgreSQL database, which many instances may share. Clones share the store.
///
/// Each exchange is one statement, and leases end by the server's clock. Errors besides those of the trait are those of
/// [`map_error`](super::map_error).
#[derive(Clone, Debug)]
pub struct PostgresSlotStore {
    postgres: Postgres,
    statements: Arc<Statements>,
}

#[derive(Debug)]
struct Statements {
    join: Statement,
    exchange: Statement,
    make: Statement,
    leave: Statement,
    dissolve: Statement,
    held: Statement,
}

impl PostgresSlotStore {
    /// Opens a database with the default configuration.
    ///
    /// # Errors
    /// Those of [`Postgres::open`] and [`Postgres::migrate`].
    pub async fn open(url: &str) -> Result<Self> {
        Self::on(Postgres::open(url, &PostgresConfig::default(), 0).await?).await
    }

    /// Counts slots in a database that is open already, whose connections it shares.
    ///
    /// # Errors
    /// Those of [`Postgres::migrate`].
    pub async fn on(postgres: Postgres) -> Result<Self> {
        postgres.migrate(&COMPONENT).await?;
        let statements = Statements {
            join: postgres.statement("join slots", include_str!("slots/sql/join.sql")),
            exchange: postgres.statement("exchange slots", include_str!("slots/sql/exchange.sql")),
            make: postgres.statement("make accounts of slots", include_str!("slots/sql/make.sql")),
            leave: postgres.statement("leave slots", include_str!("slots/sql/leave.sql")),
            dissolve: postgres.statement("expire slots", include_str!("slots/sql/dissolve.sql")),
            held: postgres.statement("read slots", include_str!("slots/sql/held.sql")),
        };
        Ok(Self { postgres, statements: Arc::new(statements) })
    }

    /// Closes the connections, those of others who share them too; what comes later is `unavailable`.
    pub async fn close(&self) {
        self.postgres.close().await;
    }

    /// Dissolves members whose lease has ended.
    async fn dissolve(&self) -> Result<()> {
        self.postgres.fetch(&self.statements.dissolve, Bound::new()).await?;
        Ok(())
    }

    async fn make(&self, exchange: &SlotExchange) -> Result<()> {
        let bound = rows::named(Bound::new(), exchange.lines.iter().map(|line| &line.key));
        self.postgres.fetch(&self.statements.make, bound).await?;
        Ok(())
    }
}

#[async_trait]
impl SlotStore for PostgresSlotStore {
    async fn join(&self, request: JoinRequest) -> Result<SlotMember> {
        check_ttl(request.ttl)?;
        self.dissolve().await?;
        let rows = self.postgres.fetch(&self.statements.join, Bound::new().with(micros(request.ttl))).await?;
        rows::joined(rows.first())
    }

    async fn exchange(&self, exchange: SlotExchange) -> Result<SlotsExchanged> {
        let operation = "exchange slots";
        exchange.check()?;
        for _ in 0..ATTEMPTS {
            let bound = rows::bind(shown(exchange.epoch), &exchange);
            let answer = rows::read(&self.postgres.fetch(&self.statements.exchange, bound).await?)?;
            match answer.verdict {
                Verdict::Done => {
                    if answer.is_untidy {
                        // What the dead held is free for whoever asks next: this may fail and be done then.
                        let _ = self.dissolve().await;
                    }
                    return Ok(SlotsExchanged::new(answer.grants));
                }
                Verdict::Fenced => return Err(fenced(operation)),
                Verdict::Older { last } => return Err(older(exchange.sequence, last)),
                Verdict::Missing => self.make(&exchange).await?,
                Verdict::Changed => {}
            }
        }
        Err(busy(operation))
    }

    async fn leave(&self, request: LeaveRequest) -> Result<()> {
        let operation = "leave slots";
        for _ in 0..ATTEMPTS {
            let rows = self.postgres.fetch(&self.statements.leave, shown(request.epoch)).await?;
            match rows::verdict(rows.first())? {
                Verdict::Done => return Ok(()),
                Verdict::Changed => {}
                _ => return Err(fenced(operation)),
            }
        }
        Err(busy(operation))
    }

    async fn held(&self, keys: &[SlotKey]) -> Result<Vec<u32>> {
        let rows = self.postgres.fetch(&self.statements.held, rows::named(Bound::new(), keys)).await?;
        rows.iter().map(|row| rows::slots(row, 0)).collect()
    }
}

fn shown(epoch: Epoch) -> Bound {
    Bound::new().with(i64::from(epoch.incarnation)).with(epoch.counter.cast_signed())
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn busy(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation)
        .with_retry(Retry::Later)
        .with_context("reason", "its member is busy elsewhere")
}
