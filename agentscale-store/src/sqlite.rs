//! What every backend on SQLite shares: opening a file, migrations, kinds of errors, the writer.

pub(crate) mod checkpoint;
mod error;
mod group;
pub(crate) mod lease;
mod migrate;
mod open;
mod rows;

pub use error::map_error;
pub use group::{Batch, GroupWriter, QueueConfig};
pub use migrate::Schema;
pub use open::{SqliteConfig, SqliteFile};
pub use rows::{Insert, Row, Rows};
