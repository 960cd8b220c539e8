//! The observation log: what happened, kept to be looked up, at no risk to what happens.
//!
//! [`ObservationLog`] is an [`Observer`](agentscale_core::Observer) whose buffer is carried off to an [`ObservationStore`]
//! by a task of its own: a file of SQLite, or tables by month in PostgreSQL.

mod batch;
mod config;
mod filter;
mod flush;
mod log;
mod query;
mod record;
mod store;
mod words;

#[cfg(feature = "postgres")]
pub use crate::postgres::observations::PostgresObservationConfig;
pub use crate::sqlite::observations::SqliteObservationConfig;
pub use batch::BatchSize;
pub use config::ObservationLogConfig;
pub use log::{ObservationLog, ObservationLogStats};
pub use query::{ObservationCursor, ObservationOrder, ObservationPage, ObservationQuery};
pub use record::ObservationRecord;
pub use store::{ObservationMaintenance, ObservationStore};

pub(crate) use filter::{Dialect, Value, select as filter};
pub(crate) use record::{Columns, RowText, decode};

/// How many months stay besides the present one.
pub(crate) const KEEP_MONTHS: u32 = 6;
