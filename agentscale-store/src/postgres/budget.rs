//! Budgets in a database of PostgreSQL.

mod lines;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::budget::{
    Balance, BudgetId, Exchange, Exchanged, Holder, JoinRequest, LeaveRequest, LedgerCapabilities,
    UsageQuery, UsageRecord,
};
use agentscale_core::checkpoint::{Durability, Epoch};
use agentscale_core::{BudgetLedger, Error, ErrorKind, Result, Retry};
use async_trait::async_trait;
use sqlx::Row as _;

use super::{Bound, Component, Postgres, PostgresConfig, Statement, map_error};
use crate::budget::{fenced, names, older, signed};
use lines::Verdict;

const COMPONENT: Component =
    Component { name: "budgets", migrations: &[include_str!("../../migrations/postgres/0001_budgets.sql")] };

/// How often an operation is asked that met another one on its holder, or budgets that are named for the first time.
const ATTEMPTS: u32 = 16;

/// Keeps budgets and usage in one schema of a PostgreSQL database, which many instances may share. Clones share the ledger.
///
/// Each exchange is one statement, and leases end by the server's clock: what requests say of the time is not looked at.
/// Budgets are forgotten 35 days behind the end of their period; usage is kept. Errors besides those of the trait are those
/// of [`map_error`](super::map_error).
#[derive(Clone, Debug)]
pub struct PostgresBudgetLedger {
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
    forget: Statement,
    balances: Statement,
    usage: Statement,
}

impl PostgresBudgetLedger {
    /// Opens a database with the default configuration.
    ///
    /// # Errors
    /// Those of [`Postgres::open`] and [`Postgres::migrate`].
    pub async fn open(url: &str) -> Result<Self> {
        Self::on(Postgres::open(url, &PostgresConfig::default(), 0).await?).await
    }

    /// Keeps budgets in a database that is open already, whose connections it shares.
    ///
    /// # Errors
    /// Those of [`Postgres::migrate`].
    pub async fn on(postgres: Postgres) -> Result<Self> {
        postgres.migrate(&COMPONENT).await?;
        let statements = Statements {
            join: postgres.statement("join ledger", include_str!("budget/sql/join.sql")),
            exchange: postgres.statement("exchange with ledger", include_str!("budget/sql/exchange.sql")),
            make: postgres.statement("make budgets", include_str!("budget/sql/make.sql")),
            leave: postgres.statement("leave ledger", include_str!("budget/sql/leave.sql")),
            dissolve: postgres.statement("expire holders", include_str!("budget/sql/dissolve.sql")),
            forget: postgres.statement("forget budgets", include_str!("budget/sql/forget.sql")),
            balances: postgres.statement("read balances", include_str!("budget/sql/balances.sql")),
            usage: postgres.statement("read usage", include_str!("budget/sql/usage.sql")),
        };
        Ok(Self { postgres, statements: Arc::new(statements) })
    }

    /// Closes the connections, those of others who share them too; what comes later is `unavailable`.
    pub async fn close(&self) {
        self.postgres.close().await;
    }

    /// Dissolves holders whose lease has ended, and forgets budgets whose periods are long over.
    async fn tidy(&self) -> Result<()> {
        self.postgres.fetch(&self.statements.dissolve, Bound::new()).await?;
        self.postgres.fetch(&self.statements.forget, Bound::new().with(micros(BudgetId::KEPT_FOR))).await?;
        Ok(())
    }

    async fn make(&self, exchange: &Exchange, names: &[String]) -> Result<()> {
        let ends: Vec<_> = exchange.lines.iter().map(|line| line.budget.end().map(signed)).collect();
        self.postgres.fetch(&self.statements.make, Bound::new().with(names).with(ends)).await?;
        Ok(())
    }
}

#[async_trait]
impl BudgetLedger for PostgresBudgetLedger {
    fn capabilities(&self) -> LedgerCapabilities {
        let durability = if self.postgres.syncs() { Durability::Disk } else { Durability::Process };
        LedgerCapabilities::new(durability, true)
    }

    async fn join(&self, request: JoinRequest) -> Result<Holder> {
        self.tidy().await?;
        let operation = "join ledger";
        let rows =
            self.postgres.fetch(&self.statements.join, Bound::new().with(micros(request.lease))).await?;
        let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Internal, operation))?;
        let incarnation: i64 = row.try_get(0).map_err(map_error(operation))?;
        let counter: i64 = row.try_get(1).map_err(map_error(operation))?;
        let incarnation = u32::try_from(incarnation)
            .map_err(|error| Error::new(ErrorKind::Corrupt, operation).with_source(error))?;
        Ok(Holder::new(Epoch { incarnation, counter: counter.cast_unsigned() }))
    }

    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged> {
        let operation = "exchange with ledger";
        exchange.check()?;
        let names = names(exchange.lines.iter().map(|line| &line.budget))?;
        for _ in 0..ATTEMPTS {
            let bound = usage::bind(lines::bind(shown(exchange.epoch), &exchange, &names), &exchange.usage);
            let answer = lines::read(&self.postgres.fetch(&self.statements.exchange, bound).await?)?;
            match answer.verdict {
                Verdict::Done => {
                    if answer.is_untidy {
                        // What is set aside for the dead counts against every limit as it is: this may fail and be done by
                        // whoever comes next.
                        let _ = self.tidy().await;
                    }
                    return Ok(Exchanged::new(answer.grants));
                }
                Verdict::Fenced => return Err(fenced(operation)),
                Verdict::Older { last } => return Err(older(exchange.sequence, last)),
                Verdict::Missing => self.make(&exchange, &names).await?,
                Verdict::Changed => {}
            }
        }
        Err(busy(operation))
    }

    async fn leave(&self, request: LeaveRequest) -> Result<()> {
        let operation = "leave ledger";
        for _ in 0..ATTEMPTS {
            let rows = self.postgres.fetch(&self.statements.leave, shown(request.epoch)).await?;
            match lines::verdict(rows.first())? {
                Verdict::Done => return Ok(()),
                Verdict::Changed => {}
                _ => return Err(fenced(operation)),
            }
        }
        Err(busy(operation))
    }

    async fn balances(&self, budgets: &[BudgetId], _now: u64) -> Result<Vec<Balance>> {
        let rows = self.postgres.fetch(&self.statements.balances, Bound::new().with(names(budgets)?)).await?;
        rows.iter().map(lines::balance).collect()
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        let rows = self.postgres.fetch(&self.statements.usage, usage::asked(&query)).await?;
        rows.iter().map(|row| usage::decode(row, &query)).collect()
    }
}

fn shown(epoch: Epoch) -> Bound {
    Bound::new().with(i64::from(epoch.incarnation)).with(epoch.counter.cast_signed())
}

/// At most half of what an integer of PostgreSQL holds: it is added to the time.
fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

fn busy(operation: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, operation)
        .with_retry(Retry::Later)
        .with_context("reason", "its holder is busy elsewhere")
}
