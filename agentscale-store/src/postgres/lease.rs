//! Leases in a database of PostgreSQL.

mod row;

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::lease::{
    AcquireRequest, Epoch, Grant, LeaseInfo, LeaseKey, ReleaseRequest, RenewRequest, check_ttl, fenced,
    refused,
};
use agentscale_core::{LeaseStore, Result};
use async_trait::async_trait;

use super::{Bound, Component, Postgres, PostgresConfig, Statement};

const COMPONENT: Component =
    Component { name: "leases", migrations: &[include_str!("../../migrations/postgres/0001_leases.sql")] };

/// Keeps leases in one schema of a PostgreSQL database, which many instances may share. Clones share the store.
///
/// Each operation is one statement, which reads the server's clock where it has locked the row of the lease. Errors besides
/// those of the trait are those of [`map_error`](super::map_error).
#[derive(Clone, Debug)]
pub struct PostgresLeaseStore {
    postgres: Postgres,
    statements: Arc<Statements>,
}

#[derive(Debug)]
struct Statements {
    acquire: Statement,
    renew: Statement,
    release: Statement,
    read: Statement,
}

impl PostgresLeaseStore {
    /// Opens a database with the default configuration.
    ///
    /// # Errors
    /// Those of [`Postgres::open`] and [`Postgres::migrate`].
    pub async fn open(url: &str) -> Result<Self> {
        Self::on(Postgres::open(url, &PostgresConfig::default(), 0).await?).await
    }

    /// Keeps leases in a database that is open already, whose connections it shares.
    ///
    /// # Errors
    /// Those of [`Postgres::migrate`].
    pub async fn on(postgres: Postgres) -> Result<Self> {
        postgres.migrate(&COMPONENT).await?;
        let statements = Statements {
            acquire: postgres.statement("acquire lease", include_str!("lease/sql/acquire.sql")),
            renew: postgres.statement("renew lease", include_str!("lease/sql/renew.sql")),
            release: postgres.statement("release lease", include_str!("lease/sql/release.sql")),
            read: postgres.statement("read lease", include_str!("lease/sql/read.sql")),
        };
        Ok(Self { postgres, statements: Arc::new(statements) })
    }

    /// Closes the connections, those of others who share them too; what comes later is `unavailable`.
    pub async fn close(&self) {
        self.postgres.close().await;
    }
}

#[async_trait]
impl LeaseStore for PostgresLeaseStore {
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant> {
        check_ttl(request.ttl)?;
        let bound = named(&request.key)
            .with(request.id.0)
            .with(request.holder.as_str())
            .with(request.note.as_ref().map(|note| note.as_str()))
            .with(micros(request.ttl));
        let rows = self.postgres.fetch(&self.statements.acquire, bound).await?;
        let row = row::acquired(rows.first())?;
        match (row.is_ours, row.holding) {
            (true, Some(holding)) => Ok(Grant::new(row.epoch, holding.remaining)),
            (false, Some(holding)) => Err(refused(&request.key, &holding)),
            (_, None) => Err(fenced("acquire lease", &request.key, row.epoch)),
        }
    }

    async fn renew(&self, request: RenewRequest) -> Result<Grant> {
        check_ttl(request.ttl)?;
        let bound = shown(&request.key, request.epoch).with(micros(request.ttl));
        let rows = self.postgres.fetch(&self.statements.renew, bound).await?;
        match row::owned(rows.first())? {
            (_, true) => Ok(Grant::new(request.epoch, request.ttl)),
            (epoch, false) => Err(fenced("renew lease", &request.key, epoch)),
        }
    }

    async fn release(&self, request: ReleaseRequest) -> Result<()> {
        let rows = self.postgres.fetch(&self.statements.release, shown(&request.key, request.epoch)).await?;
        match row::owned(rows.first())? {
            (_, true) => Ok(()),
            (epoch, false) => Err(fenced("release lease", &request.key, epoch)),
        }
    }

    async fn read(&self, key: &LeaseKey) -> Result<LeaseInfo> {
        let rows = self.postgres.fetch(&self.statements.read, named(key)).await?;
        row::read(rows.first())
    }
}

fn named(key: &LeaseKey) -> Bound {
    Bound::new().with(key.tenant.as_str()).with(key.kind.as_str()).with(key.name.as_str())
}

fn shown(key: &LeaseKey, epoch: Epoch) -> Bound {
    named(key).with(i64::from(epoch.incarnation)).with(epoch.counter.cast_signed())
}

fn micros(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)
}
