use std::future::Future;

use agentscale_core::{Error, ErrorKind, Result, Retry};
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::time::timeout;

use super::super::config::Pooling;
use super::super::connect::BEGIN;
use super::super::error::is_lost;
use super::super::map_error;
use super::super::statement::{Bound, Statement};
use super::{GRACE, Postgres};

/// Several statements of one transaction, for what has to be decided between reading and writing. One that is dropped is
/// undone; the server ends one that stands still.
#[derive(Debug)]
pub(crate) struct Transaction {
    postgres: Postgres,
    native: sqlx::Transaction<'static, sqlx::Postgres>,
    operation: &'static str,
}

impl Postgres {
    /// Begins a transaction on a connection of the pool.
    ///
    /// # Errors
    /// Those of [`fetch`](Self::fetch).
    pub(crate) async fn transaction(&self, operation: &'static str) -> Result<Transaction> {
        let begin = match self.shared.server.pooling {
            Pooling::Direct => BEGIN.to_owned(),
            Pooling::Transaction => self.shared.server.begin.clone(),
        };
        let begun = self.shared.pool.begin_with(AssertSqlSafe(begin));
        let native = self.answered(operation, begun).await?;
        Ok(Transaction { postgres: self.clone(), native, operation })
    }

    async fn answered<T>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T> {
        let answer = tokio::select! {
            answer = timeout(self.shared.statement_timeout + GRACE, answer) => answer,
            error = self.shared.outages.outage(operation) => {
                self.shared.lost.now();
                return Err(error);
            }
        };
        match answer {
            Ok(answer) => answer.map_err(|native| {
                if is_lost(&native) {
                    self.shared.lost.now();
                }
                map_error(operation)(native)
            }),
            Err(_) => {
                self.shared.lost.now();
                Err(Error::new(ErrorKind::DeadlineExceeded, operation)
                    .with_retry(Retry::Later)
                    .with_context("reason", "no answer"))
            }
        }
    }
}

impl Transaction {
    /// Runs a statement.
    ///
    /// # Errors
    /// Those of [`Postgres::fetch`]; the transaction cannot go on then.
    pub(crate) async fn fetch(&mut self, statement: &Statement, bound: Bound) -> Result<Vec<PgRow>> {
        let is_direct = self.postgres.shared.server.pooling == Pooling::Direct;
        let query = sqlx::query_with(AssertSqlSafe(statement.text.clone()), bound.end()?);
        let rows = query.persistent(is_direct).fetch_all(&mut *self.native);
        self.postgres.answered(statement.operation, rows).await
    }

    /// For what others do within it.
    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.native
    }

    /// # Errors
    /// Those of [`Postgres::fetch`]; whether it was committed is open then.
    pub(crate) async fn commit(self) -> Result<()> {
        self.postgres.answered(self.operation, self.native.commit()).await
    }
}
