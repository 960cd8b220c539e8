//! What every backend on PostgreSQL shares: connections and their pool, migrations, kinds of errors.
//!
//! Each write is one statement, so that a direct connection needs one round trip for it and leaves no transaction open
//! behind a process that stops. Behind a pooler in transaction mode the same statement runs unprepared within a
//! transaction of its own, as only that keeps it on one connection of the server; nothing is kept in a session.

pub(crate) mod budget;
pub(crate) mod checkpoint;
mod config;
mod connect;
mod error;
pub(crate) mod jobs;
pub(crate) mod lease;
mod link;
mod migrate;
pub(crate) mod observations;
mod outage;
mod partitions;
mod pool;
#[cfg(feature = "schedules")]
pub(crate) mod schedules;
pub(crate) mod slots;
mod slow;
mod statement;

pub use crate::archive::Retirement;
pub use config::{PoolConfig, Pooling, PostgresConfig};
pub use error::map_error;
pub use link::Link;
pub use migrate::Component;
pub use partitions::{MonthlyTable, Partition, PartitionUnit, PartitionWork, Partitions, RetiredPartition};
pub use pool::Postgres;
pub use statement::{Bound, Statement};
