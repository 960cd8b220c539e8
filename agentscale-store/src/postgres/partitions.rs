//! Tables partitioned by month: made ahead of time, retired when they are old.
//!
//! A component's migration makes the parent and its default, `PARTITION BY RANGE` of one column:
//!
//! ```sql
//! CREATE TABLE @.events (at bigint NOT NULL, …, PRIMARY KEY (…, at)) PARTITION BY RANGE (at);
//! CREATE TABLE @.events_default PARTITION OF @.events DEFAULT;
//! ```
//!
//! [`Partitions`] does the rest. What is written for a month that has no partition goes to the default, and moves when the
//! month's partition is made: a read in that moment may miss it. A write in that moment may be refused as a `conflict`, to be
//! tried again. The tables have no generated columns, as rows could not be moved then.

mod retire;
mod rows;

use std::sync::Arc;

use agentscale_core::{Error, ErrorKind, Result};
use sqlx::Row as _;
use uuid::Uuid;

use super::{Bound, Component, Postgres, Statement, map_error};
use crate::archive::Retirement;
use crate::month::Month;

pub use retire::RetiredPartition;

const COMPONENT: Component = Component {
    name: "partitions",
    migrations: &[include_str!("../../migrations/postgres/0001_partitions.sql")],
};

/// A table with a partition for each month.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MonthlyTable {
    /// The parent, such as `observations`; its default is named the same with `_default`.
    pub name: &'static str,
    /// The column that says the month, a `bigint` or `integer`.
    pub key: &'static str,
    /// What its numbers count.
    pub unit: PartitionUnit,
    /// How many months stay besides the present one.
    pub keep: u32,
    /// How many months are made beforehand. Two unless set otherwise.
    pub ahead: u32,
    /// Columns that are made of others and not worth an archive.
    pub derived: &'static [&'static str],
    /// Tenants with a partition of their own within each month made from now on; the table has a column `tenant` then.
    pub tenants: Vec<String>,
}

impl MonthlyTable {
    /// A table of which `keep` months stay besides the present one.
    pub fn new(name: &'static str, key: &'static str, unit: PartitionUnit, keep: u32) -> Self {
        Self { name, key, unit, keep, ahead: 2, derived: &[], tenants: Vec::new() }
    }
}

/// What the numbers of a table's key count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartitionUnit {
    /// Microseconds since the Unix epoch.
    Micros,
    /// Days since the Unix epoch.
    Days,
}

/// A partition, or what was one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// The name of its table.
    pub name: String,
    /// Whether it is part of the parent; one that is not waits to be archived and dropped.
    pub is_attached: bool,
}

/// What maintenance has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionWork {
    /// Partitions that were made.
    pub made: Vec<String>,
    /// Those that were archived, or were not to be, and dropped.
    pub retired: Vec<RetiredPartition>,
    /// Whether something was left to be done later, as another instance or a long read was at it.
    pub is_busy: bool,
}

/// The partitions of one table, which many instances may maintain at the same time. Clones share it.
#[derive(Clone, Debug)]
pub struct Partitions {
    postgres: Postgres,
    table: Arc<MonthlyTable>,
    holder: Uuid,
    statements: Arc<Statements>,
}

#[derive(Debug)]
struct Statements {
    make: Statement,
    now: Statement,
    list: Statement,
    sweep: Statement,
    detach: Statement,
    claim: Statement,
    leaves: Statement,
    drop: Statement,
}

impl Partitions {
    /// Makes what maintenance needs in the database; the table itself is its component's.
    ///
    /// # Errors
    /// Those of [`Postgres::migrate`].
    pub async fn on(postgres: Postgres, table: MonthlyTable) -> Result<Self> {
        postgres.migrate(&COMPONENT).await?;
        let statement = |operation, template| postgres.statement(operation, template);
        let statements = Statements {
            make: statement("make partition", "SELECT @.partition_make($1, $2, $3, $4, $5, $6)"),
            now: statement("read clock", "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"),
            list: statement("list partitions", include_str!("partitions/sql/list.sql")),
            sweep: statement("sweep partition", "SELECT @.partition_sweep($1, $2, $3, $4)"),
            detach: statement("detach partition", "SELECT @.partition_detach($1, $2)"),
            claim: statement("claim partition", include_str!("partitions/sql/claim.sql")),
            leaves: statement("read partition", include_str!("partitions/sql/leaves.sql")),
            drop: statement("drop partition", "SELECT @.partition_drop($1, $2)"),
        };
        let (table, statements) = (Arc::new(table), Arc::new(statements));
        Ok(Self { postgres, table, holder: Uuid::now_v7(), statements })
    }

    /// Makes the partitions of this month and those to come, and retires those that are too old.
    ///
    /// # Errors
    /// Those of [`prepare`](Self::prepare) and [`retire`](Self::retire).
    pub async fn maintain(&self, unix_micros: u64, retirement: &Retirement) -> Result<PartitionWork> {
        let mut work = self.prepare(unix_micros).await?;
        self.retire_into(unix_micros, retirement, &mut work).await?;
        Ok(work)
    }

    /// [`prepare`](Self::prepare) by the server's clock, for when a table is opened: what is written then has its place.
    ///
    /// # Errors
    /// Those of [`Postgres::fetch`].
    pub async fn prepare_now(&self) -> Result<PartitionWork> {
        let now = &self.statements.now;
        let rows = self.postgres.fetch(now, Bound::new()).await?;
        let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Internal, now.operation))?;
        let micros: i64 = row.try_get(0).map_err(map_error(now.operation))?;
        self.prepare(micros.cast_unsigned()).await
    }

    /// Makes the partitions of this month and those to come.
    ///
    /// # Errors
    /// Those of [`Postgres::fetch`].
    pub async fn prepare(&self, unix_micros: u64) -> Result<PartitionWork> {
        let mut work = PartitionWork::default();
        let now = Month::of(unix_micros);
        for month in (0..=self.table.ahead).map(|ahead| now.plus(ahead)) {
            let name = format!("{}_{month}", self.table.name);
            let bound = Bound::new()
                .with(self.table.name)
                .with(name.clone())
                .with(self.table.key)
                .with(self.table.unit.start(month))
                .with(self.table.unit.start(month.plus(1)))
                .with(self.table.tenants.clone());
            match self.ask(&self.statements.make, bound).await?.as_str() {
                "made" => work.made.push(name),
                "busy" => work.is_busy = true,
                _ => {}
            }
        }
        Ok(work)
    }

    /// Takes what is older than the table keeps out of it, archives it, reads what was archived and then drops it. What
    /// was killed half-way goes on where it was.
    ///
    /// # Errors
    /// Those of [`Postgres::fetch`] and of the archive; `corrupt` where it gives back other bytes than it was given.
    /// Nothing is dropped then.
    pub async fn retire(&self, unix_micros: u64, retirement: &Retirement) -> Result<PartitionWork> {
        let mut work = PartitionWork::default();
        self.retire_into(unix_micros, retirement, &mut work).await?;
        Ok(work)
    }

    /// All partitions by name, besides the default.
    ///
    /// # Errors
    /// Those of [`Postgres::fetch`].
    pub async fn list(&self) -> Result<Vec<Partition>> {
        let list = &self.statements.list;
        let rows = self.postgres.fetch(list, Bound::new().with(self.table.name)).await?;
        let partitions = rows.iter().map(|row| -> sqlx::Result<_> {
            Ok(Partition { name: row.try_get(0)?, is_attached: row.try_get(1)? })
        });
        partitions.collect::<sqlx::Result<_>>().map_err(map_error(list.operation))
    }

    /// The word that a function answers with.
    async fn ask(&self, statement: &Statement, bound: Bound) -> Result<String> {
        let rows = self.postgres.fetch(statement, bound).await?;
        let row = rows.first().ok_or_else(|| Error::new(ErrorKind::Internal, statement.operation))?;
        row.try_get(0).map_err(map_error(statement.operation))
    }
}

impl PartitionUnit {
    fn start(self, month: Month) -> i64 {
        let start = match self {
            Self::Micros => month.start(),
            Self::Days => month.first_day(),
        };
        // The last month begins in the year 9999.
        start.cast_signed()
    }
}
