//! From SQLite's errors to kinds.

use agentscale_core::{Error, ErrorKind};

pub(super) fn native(operation: &'static str) -> impl Fn(sqlx::Error) -> Error {
    move |error| Error::new(kind(&error), operation).with_source(error)
}

pub(super) fn kind(error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Database(error) => error.code().map_or(ErrorKind::Internal, |code| code_kind(&code)),
        sqlx::Error::PoolTimedOut => ErrorKind::Overloaded,
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => ErrorKind::Unavailable,
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => ErrorKind::Corrupt,
        _ => ErrorKind::Internal,
    }
}

/// The primary code is the low byte of SQLite's extended one.
fn code_kind(code: &str) -> ErrorKind {
    match code.parse::<i32>().unwrap_or_default() & 0xff {
        5 | 6 | 10 | 13 | 14 => ErrorKind::Unavailable, // busy, locked, I/O, full, cannot open
        8 => ErrorKind::PermissionDenied,
        11 | 26 => ErrorKind::Corrupt,
        18 => ErrorKind::TooLarge,
        19 => ErrorKind::Conflict,
        _ => ErrorKind::Internal,
    }
}
