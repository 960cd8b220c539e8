use std::borrow::Cow;
use std::io;

use agentscale_core::{Error, ErrorKind};

// Primary result codes, https://www.sqlite.org/rescode.html
const PERM: u32 = 3;
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const NOMEM: u32 = 7;
const READONLY: u32 = 8;
const IOERR: u32 = 10;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const TOOBIG: u32 = 18;
const NOTADB: u32 = 26;

/// An error of sqlx as one of the SDK, with the native one as its source.
///
/// `unavailable` for a file that is locked, full, read-only or cannot be opened (its context `reason`
/// says which); `overloaded` where no connection was free in time; `corrupt` for bytes that SQLite or
/// the caller's decoding cannot understand; `too_large`; else `internal`.
///
/// ```
/// use agentscale_core::ErrorKind;
/// use agentscale_store::sqlite::map_error;
///
/// let error = map_error("load checkpoint")(sqlx::Error::PoolTimedOut);
/// assert_eq!(error.kind(), ErrorKind::Overloaded);
/// ```
pub fn map_error(operation: impl Into<Cow<'static, str>>) -> impl FnOnce(sqlx::Error) -> Error {
    move |native| {
        let (kind, reason) = classify(&native);
        let error = Error::new(kind, operation);
        match reason {
            Some(reason) => error.with_context("reason", reason).with_source(native),
            None => error.with_source(native),
        }
    }
}

fn classify(native: &sqlx::Error) -> (ErrorKind, Option<&'static str>) {
    match native {
        sqlx::Error::Database(error) => classify_code(error.code().and_then(|code| code.parse().ok())),
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => {
            (ErrorKind::Unavailable, Some("disk full"))
        }
        sqlx::Error::Io(_) => (ErrorKind::Unavailable, Some("input or output failed")),
        sqlx::Error::PoolTimedOut => (ErrorKind::Overloaded, Some("no free connection")),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => (ErrorKind::Unavailable, Some("closed")),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => (ErrorKind::Corrupt, None),
        _ => (ErrorKind::Internal, None),
    }
}

fn classify_code(extended: Option<u32>) -> (ErrorKind, Option<&'static str>) {
    match extended.map(|code| code & 0xff) {
        Some(BUSY | LOCKED) => (ErrorKind::Unavailable, Some("locked by another connection")),
        Some(FULL) => (ErrorKind::Unavailable, Some("disk full")),
        Some(IOERR) => (ErrorKind::Unavailable, Some("input or output failed")),
        Some(NOMEM) => (ErrorKind::Unavailable, Some("out of memory")),
        Some(PERM | READONLY) => (ErrorKind::Unavailable, Some("not writable")),
        Some(CANTOPEN) => (ErrorKind::Unavailable, Some("cannot be opened")),
        Some(CORRUPT | NOTADB) => (ErrorKind::Corrupt, None),
        Some(TOOBIG) => (ErrorKind::TooLarge, None),
        _ => (ErrorKind::Internal, None),
    }
}
