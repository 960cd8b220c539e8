//! Observations in a database of PostgreSQL, in tables by month.

mod append;
mod query;

use agentscale_core::{Result, Tenant};
use async_trait::async_trait;

use super::{Component, MonthlyTable, PartitionUnit, Partitions, Postgres, PostgresConfig, Statement};
use crate::archive::Retirement;
use crate::observations::{
    KEEP_MONTHS, ObservationMaintenance, ObservationPage, ObservationQuery, ObservationRecord,
    ObservationStore,
};

const COMPONENT: Component = Component {
    name: "observations",
    migrations: &[include_str!("../../migrations/postgres/0001_observations.sql")],
};

/// Keeps observations in one schema of a PostgreSQL database, which many instances may share. Clones share the store.
///
/// Each month is a partition, made two months ahead, and within it each large tenant that is named.
#[derive(Clone, Debug)]
pub struct PostgresObservationStore {
    postgres: Postgres,
    partitions: Partitions,
    retirement: Retirement,
    append: Statement,
    /// Whether the connections are its own.
    owns: bool,
}

/// How observations are kept in PostgreSQL.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostgresObservationConfig {
    /// How many months stay besides the present one. Default 6.
    pub keep_months: u32,
    /// What becomes of older ones. They stay by default.
    pub retirement: Retirement,
    /// Tenants so large that they have a partition of their own in each month that is made from now on.
    pub tenants: Vec<Tenant>,
}

impl Default for PostgresObservationConfig {
    fn default() -> Self {
        Self { keep_months: KEEP_MONTHS, retirement: Retirement::Keep, tenants: Vec::new() }
    }
}

impl PostgresObservationStore {
    /// Opens a database with the default configuration.
    ///
    /// # Errors
    /// Those of [`Postgres::open`] and [`on`](Self::on).
    pub async fn open(url: &str) -> Result<Self> {
        let postgres = Postgres::open(url, &PostgresConfig::default(), 0).await?;
        let store = Self::on(postgres, PostgresObservationConfig::default()).await?;
        Ok(Self { owns: true, ..store })
    }

    /// Keeps observations in a database that is open already, whose connections it shares.
    ///
    /// # Errors
    /// Those of [`Postgres::migrate`] and [`Partitions::prepare_now`].
    pub async fn on(postgres: Postgres, config: PostgresObservationConfig) -> Result<Self> {
        postgres.migrate(&COMPONENT).await?;
        let mut table = MonthlyTable::new("observations", "at", PartitionUnit::Micros, config.keep_months);
        table.derived = &["words"];
        table.tenants = config.tenants.iter().map(|tenant| tenant.as_str().to_owned()).collect();
        let partitions = Partitions::on(postgres.clone(), table).await?;
        partitions.prepare_now().await?;
        let append = postgres.statement("append observations", include_str!("observations/sql/append.sql"));
        Ok(Self { postgres, partitions, retirement: config.retirement, append, owns: false })
    }
}

#[async_trait]
impl ObservationStore for PostgresObservationStore {
    async fn append(&self, batch: &[ObservationRecord]) -> Result<()> {
        self.postgres.fetch(&self.append, append::bound(batch)?).await?;
        Ok(())
    }

    async fn query(&self, query: &ObservationQuery) -> Result<ObservationPage> {
        let (statement, bound) = query::select(&self.postgres, query)?;
        let rows = self.postgres.fetch(&statement, bound).await?;
        let records = rows.iter().map(|row| query::record(row, query)).collect::<Result<_>>()?;
        Ok(ObservationPage::of(records, query.limit))
    }

    async fn maintain(&self, unix_micros: u64) -> Result<ObservationMaintenance> {
        let work = self.partitions.maintain(unix_micros, &self.retirement).await?;
        let retired = work.retired.into_iter().map(|month| month.name).collect();
        Ok(ObservationMaintenance { made: work.made, retired, is_busy: work.is_busy })
    }

    async fn close(&self) -> Result<()> {
        if self.owns {
            self.postgres.close().await;
        }
        Ok(())
    }
}
