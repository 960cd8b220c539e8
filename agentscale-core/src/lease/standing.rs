//! Why a lease is not granted, and why one has ended.

use super::since;
use super::{Epoch, Holding, LeaseKey};
use crate::{Error, ErrorKind};

/// The error of an acquisition while somebody else holds the lease: `conflict`, to be tried after the time that is left.
pub fn refused(key: &LeaseKey, holding: &Holding) -> Error {
    let error = Error::new(ErrorKind::Conflict, "acquire lease")
        .with_context("lease", key)
        .with_context("reason", "one is under way")
        .with_context("holder", &holding.holder)
        .with_context("since", since::text(holding.since_unix_micros));
    let error = match &holding.note {
        Some(note) => error.with_context("note", note),
        None => error,
    };
    error.with_retry_after(holding.remaining)
}

/// The error of whoever shows an epoch that does not hold the lease (any more). `current` is that of the last grant.
pub fn fenced(operation: &'static str, key: &LeaseKey, current: Epoch) -> Error {
    Error::new(ErrorKind::Fenced, operation)
        .with_context("lease", key)
        .with_context("last_epoch", format!("{}.{}", current.incarnation, current.counter))
}
