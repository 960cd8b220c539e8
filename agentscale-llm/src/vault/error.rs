use agentscale_core::{Error, ErrorKind};

pub(super) const OPERATION: &str = "call vault";

/// What a status means. The body is left out: it may repeat what was sent.
pub(super) fn from_status(status: u16) -> Error {
    let kind = match status {
        400 | 405 => ErrorKind::InvalidInput,
        401 => ErrorKind::Unauthenticated,
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::RateLimited,
        // Sealed, in standby, behind in replication, or broken.
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, OPERATION).with_context("status", status)
}

/// An answer that is not of this API. The parser's error is left out: it may quote the secret.
pub(super) fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "read vault's answer").with_context("reason", reason)
}
