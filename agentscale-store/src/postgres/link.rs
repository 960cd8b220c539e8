use agentscale_core::{Error, ErrorKind, Result};
use sqlx::Connection;
use sqlx::postgres::{PgConnection, PgRow};

use super::pool::{Postgres, Script};
use super::statement::{Bound, Statement};

/// One connection, opened when it is needed and replaced when it was lost.
#[derive(Debug)]
pub struct Link {
    postgres: Postgres,
    connection: Option<PgConnection>,
}

impl Link {
    pub(super) fn new(postgres: Postgres) -> Self {
        Self { postgres, connection: None }
    }

    /// Runs a statement in a transaction of its own.
    ///
    /// # Errors
    /// As [`map_error`](super::map_error) says; `deadline_exceeded` where no answer came in time.
    ///
    /// # Cancel safety
    /// The statement is run or not run; the connection is closed then.
    pub async fn fetch(&mut self, statement: &Statement, bound: Bound) -> Result<Vec<PgRow>> {
        let script = Script::of(statement, bound)?;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None if self.postgres.is_closed() => {
                return Err(
                    Error::new(ErrorKind::Unavailable, statement.operation).with_context("reason", "closed")
                );
            }
            None => self.postgres.connect().await?,
        };
        match self.postgres.run(&mut connection, script).await {
            Ok(rows) => {
                self.connection = Some(connection);
                Ok(rows)
            }
            Err(failure) => {
                if !failure.connection_is_lost {
                    self.connection = Some(connection);
                }
                Err(failure.error)
            }
        }
    }

    /// Whether the last statement was answered.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Closes the connection.
    pub async fn close(self) {
        if let Some(connection) = self.connection {
            // A connection that does not close in words closes all the same.
            let _ = connection.close().await;
        }
    }
}
