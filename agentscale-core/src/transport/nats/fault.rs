use std::error::Error as StdError;

use crate::{Error, ErrorKind};

/// Makes an error of NATS one of a transport that cannot be reached.
pub(super) fn fault<E: StdError + Send + Sync + 'static>(operation: &'static str) -> impl Fn(E) -> Error {
    move |error| Error::new(ErrorKind::Unavailable, operation).with_source(error)
}
