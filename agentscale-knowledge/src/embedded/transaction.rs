//! Transactions of the writing connection.
//!
//! Not sqlx's own: where the disk is full, SQLite ends a transaction by itself. sqlx then counts one that is open
//! for ever, and its connection begins no other.

use agentscale_core::Result;
use agentscale_store::sqlite::map_error;
use sqlx::{Executor, SqliteConnection};

pub(super) async fn begin(connection: &mut SqliteConnection, operation: &'static str) -> Result<()> {
    connection.execute("BEGIN IMMEDIATE").await.map_err(map_error(operation))?;
    Ok(())
}

/// Commits what was `done`, or leaves all as it was before.
pub(super) async fn end<T>(
    connection: &mut SqliteConnection,
    operation: &'static str,
    done: Result<T>,
) -> Result<T> {
    let ended = match done {
        Ok(done) => connection.execute("COMMIT").await.map(|_| done).map_err(map_error(operation)),
        Err(error) => Err(error),
    };
    if ended.is_err() {
        // Where there is no transaction any more, this is an error of no interest.
        let _ = connection.execute("ROLLBACK").await;
    }
    ended
}
