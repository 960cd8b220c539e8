//! What every backend on SQLite shares: opening a file, migrations, kinds of errors, the writer.

pub(crate) mod budget;
pub(crate) mod checkpoint;
mod error;
pub(crate) mod jobs;
pub(crate) mod lease;
mod migrate;
pub(crate) mod observations;
mod open;
mod rows;
#[cfg(feature = "schedules")]
pub(crate) mod schedules;
pub(crate) mod slots;

pub use crate::group::{Batch, GroupWriter, QueueConfig};
pub use error::map_error;
pub use migrate::Schema;
pub use open::{SqliteConfig, SqliteFile};
pub use rows::{Insert, Row, Rows};
