use std::time::Duration;

use agentscale_core::Result;

use super::rows::TableRows;
use super::{PartitionWork, Partitions};
use crate::archive::{ArchiveManifest, Retirement, export};
use crate::month::Month;
use crate::postgres::Bound;

/// How long a claim lasts that is not renewed.
const CLAIM: Duration = Duration::from_secs(60);

/// A month that is gone from the database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetiredPartition {
    /// The name that its table had.
    pub name: String,
    /// Where it is now; `None` where it was not to be archived.
    pub archived: Option<ArchiveManifest>,
}

impl Partitions {
    pub(super) async fn retire_into(
        &self,
        unix_micros: u64,
        retirement: &Retirement,
        work: &mut PartitionWork,
    ) -> Result<()> {
        if matches!(retirement, Retirement::Keep) {
            return Ok(());
        }
        let oldest = Month::of(unix_micros).minus(self.table.keep);
        let first = format!("{}_{oldest}", self.table.name);
        let late = format!("{}_late_", self.table.name);
        let sweep = Bound::new()
            .with(self.table.name)
            .with(format!("{late}{}", unix_micros / 1_000_000))
            .with(self.table.key)
            .with(self.table.unit.start(oldest));
        work.is_busy |= self.ask(&self.statements.sweep, sweep).await? == "busy";
        for partition in self.list().await? {
            if partition.is_attached {
                if partition.name >= first {
                    continue;
                }
                let bound = Bound::new().with(self.table.name).with(partition.name.clone());
                if self.ask(&self.statements.detach, bound).await? == "busy" {
                    work.is_busy = true;
                    continue;
                }
            }
            self.retire_one(partition.name, retirement, work).await?;
        }
        Ok(())
    }

    /// A table that is detached, maybe by an instance that was killed then.
    async fn retire_one(
        &self,
        name: String,
        retirement: &Retirement,
        work: &mut PartitionWork,
    ) -> Result<()> {
        if !self.claim(&name).await? {
            work.is_busy = true;
            return Ok(());
        }
        let archived = match retirement {
            Retirement::Archive(archive) => {
                let part = name.strip_prefix(self.table.name).unwrap_or(&name).trim_start_matches('_');
                match TableRows::of(self, &name).await? {
                    Some(mut rows) => Some(export(archive, self.table.name, part, &mut rows).await?),
                    // Dropped by another instance; its claim is to go, too.
                    None => None,
                }
            }
            _ => None,
        };
        // Whoever took the claim over meanwhile drops it, when all was archived once more.
        if !self.claim(&name).await? {
            work.is_busy = true;
            return Ok(());
        }
        let bound = Bound::new().with(self.table.name).with(name.clone());
        match self.ask(&self.statements.drop, bound).await?.as_str() {
            "dropped" => work.retired.push(RetiredPartition { name, archived }),
            "busy" => work.is_busy = true,
            _ => {}
        }
        Ok(())
    }

    /// Takes or renews the claim; `false` where another instance has it.
    pub(super) async fn claim(&self, name: &str) -> Result<bool> {
        let lasts = CLAIM.as_micros() as i64;
        let bound = Bound::new().with(name).with(self.holder).with(lasts);
        Ok(!self.postgres.fetch(&self.statements.claim, bound).await?.is_empty())
    }
}
