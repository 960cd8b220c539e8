//! What the APIs' refusals have in common. Messages of a server may quote the prompt or a part of the key, so they
//! decide the kind and are not kept.

use agentscale_core::{Error, ErrorKind, Retry};

/// The `reason` in the context of an error of a call that never reached its server.
pub(crate) const NOT_CONNECTED: &str = "no connection";

/// An error by its kind, with the names that its body gave, where they are names.
pub(crate) fn refused(
    operation: &'static str,
    kind: ErrorKind,
    status: Option<u16>,
    names: &[(&'static str, &str)],
) -> Error {
    let mut error = Error::new(kind, operation);
    if matches!(status, Some(408 | 409)) {
        error = error.with_retry(Retry::Later);
    }
    if let Some(status) = status {
        error = error.with_context("status", status);
    }
    for (field, value) in names {
        if is_code(value) {
            error = error.with_context(*field, value);
        }
    }
    error
}

/// The kind of a refusal that says no more than its status.
pub(crate) fn of_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Unauthenticated,
        402 => ErrorKind::QuotaExceeded,
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        408 => ErrorKind::Unavailable,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::RateLimited,
        529 => ErrorKind::Overloaded,
        501 => ErrorKind::Unsupported,
        300..=499 => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    }
}

/// Whether a text from outside is a name that can be shown, not a sentence that may quote the prompt.
pub(crate) fn is_code(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}
