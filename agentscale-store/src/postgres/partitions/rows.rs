use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use sqlx::Row as _;

use super::Partitions;
use crate::archive::RowSource;
use crate::postgres::{Bound, Statement, map_error};

/// Blocks of a table that are read at once, half a megabyte of rows.
const BLOCKS: i64 = 64;
/// Pages between two renewals of the claim.
const RENEWAL: u32 = 16;
const OPERATION: &str = "read partition";

/// The rows of a table that nobody writes to, in the order in which they lie there.
#[derive(Debug)]
pub(super) struct TableRows<'a> {
    partitions: &'a Partitions,
    name: &'a str,
    leaves: Vec<Leaf>,
    leaf: usize,
    block: i64,
    pages: u32,
}

#[derive(Debug)]
struct Leaf {
    blocks: i64,
    read: Statement,
}

impl<'a> TableRows<'a> {
    /// `None` where there is no such table any more.
    pub(super) async fn of(partitions: &'a Partitions, name: &'a str) -> Result<Option<Self>> {
        let leaves =
            partitions.postgres.fetch(&partitions.statements.leaves, Bound::new().with(name)).await?;
        let leaves = leaves.iter().map(|row| -> sqlx::Result<_> {
            // Its name is one that maintenance made.
            let read = format!(
                "SELECT (to_jsonb(t) - $1::text[])::text FROM @.{} t \
                 WHERE t.ctid >= $2::text::tid AND t.ctid < $3::text::tid ORDER BY t.ctid",
                row.try_get::<&str, _>(0)?
            );
            Ok(Leaf { blocks: row.try_get(1)?, read: partitions.postgres.statement(OPERATION, &read) })
        });
        let leaves = leaves.collect::<sqlx::Result<Vec<_>>>().map_err(map_error(OPERATION))?;
        let rows = Self { partitions, name, leaves, leaf: 0, block: 0, pages: 0 };
        Ok((!rows.leaves.is_empty()).then_some(rows))
    }
}

#[async_trait]
impl RowSource for TableRows<'_> {
    fn restart(&mut self) {
        (self.leaf, self.block) = (0, 0);
    }

    async fn next(&mut self) -> Result<Vec<String>> {
        while let Some(leaf) = self.leaves.get(self.leaf) {
            if self.block >= leaf.blocks {
                (self.leaf, self.block) = (self.leaf + 1, 0);
                continue;
            }
            self.pages += 1;
            if self.pages.is_multiple_of(RENEWAL) && !self.partitions.claim(self.name).await? {
                return Err(Error::new(ErrorKind::Conflict, OPERATION)
                    .with_context("reason", "another instance retires this partition"));
            }
            let until = self.block + BLOCKS;
            let bound = Bound::new()
                .with(self.partitions.table.derived.to_vec())
                .with(format!("({},0)", self.block))
                .with(format!("({until},0)"));
            let rows = self.partitions.postgres.fetch(&leaf.read, bound).await?;
            self.block = until;
            if !rows.is_empty() {
                let texts = rows.iter().map(|row| row.try_get(0));
                return texts.collect::<sqlx::Result<_>>().map_err(map_error(OPERATION));
            }
        }
        Ok(Vec::new())
    }
}
