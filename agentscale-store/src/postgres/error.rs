use std::borrow::Cow;
use std::io;

use agentscale_core::{Error, ErrorKind, Retry};

/// An error of sqlx on PostgreSQL as one of the SDK, with the native one as its source.
///
/// `unavailable` for a server that cannot be reached, restarts, is full or read-only, and for a lock that another
/// connection holds (its context `reason` says which): the outcome of a write is then open, and repeating it is how to
/// learn it. `conflict`, to be tried later, for a deadlock, and for a row whose partition has changed meanwhile; `deadline_exceeded` for a statement over its time;
/// `overloaded` where no connection was free; `unauthenticated`, `permission_denied`, `not_found` for what a
/// connection is refused for; `invalid_input` for text that PostgreSQL cannot hold; `too_large`; `corrupt`; else `internal`.
///
/// ```
/// use agentscale_core::ErrorKind;
/// use agentscale_store::postgres::map_error;
///
/// let error = map_error("load checkpoint")(sqlx::Error::PoolTimedOut);
/// assert_eq!(error.kind(), ErrorKind::Overloaded);
/// ```
pub fn map_error(operation: impl Into<Cow<'static, str>>) -> impl FnOnce(sqlx::Error) -> Error {
    move |native| {
        let (kind, reason) = classify(&native);
        let mut error = Error::new(kind, operation);
        if kind == ErrorKind::Conflict || kind == ErrorKind::DeadlineExceeded {
            error = error.with_retry(Retry::Later);
        }
        match reason {
            Some(reason) => error.with_context("reason", reason).with_source(native),
            None => error.with_source(native),
        }
    }
}

/// Whether a connection that gave this error is to be replaced.
pub(super) fn is_lost(native: &sqlx::Error) -> bool {
    match native {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let class = code.get(..2).unwrap_or_default();
            // Besides lost connections: a server that shuts down or was demoted, a transaction that the server has
            // ended, a prepared statement that is not there or whose tables have changed.
            class == "08"
                || matches!(&*code, "57P01" | "57P02" | "57P03" | "25006" | "25P03" | "26000" | "0A000")
        }),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}

fn classify(native: &sqlx::Error) -> (ErrorKind, Option<&'static str>) {
    match native {
        // A constraint without a name is that of a partition, which another connection has made meanwhile.
        sqlx::Error::Database(error)
            if error.code().as_deref() == Some("23514") && error.constraint().is_none() =>
        {
            (ErrorKind::Conflict, Some("the partitions have changed"))
        }
        sqlx::Error::Database(error) => classify_code(&error.code().unwrap_or_default()),
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            (ErrorKind::Unavailable, Some("connection refused"))
        }
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => (ErrorKind::Unavailable, Some("connection lost")),
        sqlx::Error::Tls(_) => (ErrorKind::Unavailable, Some("tls failed")),
        sqlx::Error::PoolTimedOut => (ErrorKind::Overloaded, Some("no free connection")),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => (ErrorKind::Unavailable, Some("closed")),
        sqlx::Error::Configuration(_) => (ErrorKind::InvalidInput, None),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => (ErrorKind::Corrupt, None),
        _ => (ErrorKind::Internal, None),
    }
}

/// By <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn classify_code(code: &str) -> (ErrorKind, Option<&'static str>) {
    match code {
        "40001" => (ErrorKind::Conflict, Some("serialization failure")),
        "40P01" => (ErrorKind::Conflict, Some("deadlock")),
        "55P03" => (ErrorKind::Unavailable, Some("locked by another connection")),
        "57014" => (ErrorKind::DeadlineExceeded, Some("statement timeout")),
        "57P01" | "57P02" | "57P03" => (ErrorKind::Unavailable, Some("server stops or starts")),
        "53100" => (ErrorKind::Unavailable, Some("disk full")),
        "53200" => (ErrorKind::Unavailable, Some("out of memory")),
        "53300" => (ErrorKind::Overloaded, Some("too many connections")),
        "25006" => (ErrorKind::Unavailable, Some("read-only server")),
        "25P03" => (ErrorKind::Unavailable, Some("transaction idle for too long")),
        "26000" | "0A000" => (ErrorKind::Unavailable, Some("prepared statement lost")),
        "28000" | "28P01" => (ErrorKind::Unauthenticated, None),
        "42501" => (ErrorKind::PermissionDenied, None),
        "3D000" => (ErrorKind::NotFound, Some("no such database")),
        "22021" | "22P05" => (ErrorKind::InvalidInput, Some("text that PostgreSQL cannot hold")),
        "54000" | "22001" => (ErrorKind::TooLarge, None),
        "XX001" | "XX002" => (ErrorKind::Corrupt, None),
        _ if code.starts_with("08") => (ErrorKind::Unavailable, Some("connection lost")),
        _ if code.starts_with("58") => (ErrorKind::Unavailable, Some("input or output failed")),
        _ => (ErrorKind::Internal, None),
    }
}
