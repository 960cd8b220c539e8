use agentscale_core::Result;
use sqlx::postgres::PgRow;

use crate::postgres::{Bound, Link, Postgres, Statement};

/// The connection of a writer, or any of the pool.
#[derive(Debug)]
pub(super) enum Via<'a> {
    Link(&'a mut Link),
    Pool(&'a Postgres),
}

impl Via<'_> {
    pub(super) async fn fetch(&mut self, statement: &Statement, bound: Bound) -> Result<Vec<PgRow>> {
        match self {
            Self::Link(link) => link.fetch(statement, bound).await,
            Self::Pool(postgres) => postgres.fetch(statement, bound).await,
        }
    }
}
