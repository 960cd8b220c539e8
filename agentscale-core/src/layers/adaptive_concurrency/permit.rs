use std::sync::Arc;

use super::limit::Shared;
use crate::layers::Guard;
use crate::time::Monotonic;
use crate::{Error, ErrorKind, Result};

/// The right to make one call. It takes the call's result; dropped without one it counts as cancelled: it
/// records nothing.
#[derive(Debug)]
#[must_use = "a permit that is dropped unresolved counts as a cancelled call"]
pub struct ConcurrencyPermit {
    shared: Arc<Shared>,
    started: Monotonic,
    in_flight: u32,
}

impl ConcurrencyPermit {
    #[inline]
    pub(super) fn new(shared: Arc<Shared>, started: Monotonic, in_flight: u32) -> Self {
        Self { shared, started, in_flight }
    }

    /// The other side answered.
    #[inline]
    pub fn answered(self) {
        self.shared.record(&self, false);
    }

    /// The other side could not bear the call.
    pub fn dropped(self) {
        self.shared.record(&self, true);
    }

    /// Records a result. Signs of overload are `overloaded`, `unavailable` and `deadline_exceeded`; other errors
    /// say nothing about the load and count like a cancelled call.
    #[inline]
    pub fn record(self, result: Result<(), &Error>) {
        match result.map_err(Error::kind) {
            Ok(()) => self.answered(),
            Err(ErrorKind::Overloaded | ErrorKind::Unavailable | ErrorKind::DeadlineExceeded) => {
                self.dropped()
            }
            Err(_) => {}
        }
    }

    pub(super) fn started(&self) -> Monotonic {
        self.started
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }
}

impl Guard for ConcurrencyPermit {
    #[inline]
    fn resolve(self, result: Result<(), &Error>) {
        self.record(result);
    }
}
