//! From LMDB's and hannoy's errors to kinds.

use agentscale_core::{Error, ErrorKind};
use heed::MdbError;

pub(super) fn native(operation: &'static str, error: heed::Error) -> Error {
    let full = matches!(&error, heed::Error::Io(error) if error.kind() == std::io::ErrorKind::StorageFull);
    let mapped = Error::new(kind(&error), operation);
    let mapped = if full { mapped.with_context("reason", "disk full") } else { mapped };
    mapped.with_source(error)
}

pub(super) fn graph(operation: &'static str, error: hannoy::Error) -> Error {
    match error {
        hannoy::Error::Heed(error) => native(operation, error),
        hannoy::Error::Io(error) => native(operation, heed::Error::Io(error)),
        hannoy::Error::BuildCancelled => Error::new(ErrorKind::Cancelled, operation),
        hannoy::Error::InvalidVecDimension { expected, received } => {
            Error::new(ErrorKind::InvalidInput, operation)
                .with_context("expected dimensions", expected)
                .with_context("dimensions", received)
        }
        other => Error::new(ErrorKind::Corrupt, operation).with_source(other),
    }
}

fn kind(error: &heed::Error) -> ErrorKind {
    match error {
        heed::Error::Mdb(
            MdbError::Corrupted
            | MdbError::PageNotFound
            | MdbError::Invalid
            | MdbError::VersionMismatch
            | MdbError::Panic,
        )
        | heed::Error::Decoding(_) => ErrorKind::Corrupt,
        heed::Error::Mdb(MdbError::MapFull | MdbError::ReadersFull) => ErrorKind::Overloaded,
        heed::Error::Io(_) => ErrorKind::Unavailable,
        heed::Error::EnvAlreadyOpened => ErrorKind::Conflict,
        _ => ErrorKind::Internal,
    }
}
