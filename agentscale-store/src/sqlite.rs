//! What every backend on SQLite shares: opening a file, its migrations, the kinds of its errors.

mod error;
mod migrate;
mod open;

pub use error::map_error;
pub use migrate::Schema;
pub use open::{SqliteConfig, SqliteFile};
