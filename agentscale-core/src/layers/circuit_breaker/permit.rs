use std::ops::Deref;
use std::sync::Arc;

use super::shared::Shared;
use super::state::Ticket;
use crate::layers::Guard;
use crate::{Error, ErrorKind, Result};

/// The right to make one call. It takes the call's result; dropped without one it counts as cancelled: it
/// records nothing, and if it was the probe of a half-open circuit, the next call becomes the probe.
#[derive(Debug)]
#[must_use = "a permit that is dropped unresolved counts as a cancelled call"]
pub struct Permit(Held<Arc<Shared>>);

impl Permit {
    #[inline]
    pub(super) fn new(breaker: Arc<Shared>, ticket: Ticket) -> Self {
        Self(Held::new(breaker, ticket))
    }

    /// The other side answered.
    #[inline]
    pub fn success(self) {
        self.0.success();
    }

    /// The other side failed.
    pub fn failure(self) {
        self.0.failure();
    }

    /// Records a result. Failures are `unavailable`, `deadline_exceeded`, `overloaded`, `corrupt` and
    /// `internal`. Other errors may have come from this side, or lie in the request: they count like a
    /// cancelled call.
    #[inline]
    pub fn record(self, result: Result<(), &Error>) {
        self.0.record(result);
    }

    /// Whether this call probes a half-open circuit.
    pub fn is_probe(&self) -> bool {
        self.0.ticket.probe
    }
}

impl Guard for Permit {
    #[inline]
    fn resolve(self, result: Result<(), &Error>) {
        self.record(result);
    }
}

/// A ticket that goes back however the call ends; `B` is how it holds the breaker.
#[derive(Debug)]
pub(super) struct Held<B: Deref<Target = Shared>> {
    /// `None` once it is resolved.
    breaker: Option<B>,
    ticket: Ticket,
}

impl<B: Deref<Target = Shared>> Held<B> {
    #[inline]
    pub(super) fn new(breaker: B, ticket: Ticket) -> Self {
        Self { breaker: Some(breaker), ticket }
    }

    #[inline]
    pub(super) fn record(self, result: Result<(), &Error>) {
        match result {
            Ok(()) => self.success(),
            Err(error) if is_failure(error.kind()) => self.failure(),
            Err(_) => drop(self),
        }
    }

    #[inline]
    fn success(mut self) {
        if let Some(breaker) = self.breaker.take() {
            breaker.succeed(self.ticket);
        }
    }

    fn failure(mut self) {
        if let Some(breaker) = self.breaker.take() {
            breaker.fail(self.ticket);
        }
    }
}

impl<B: Deref<Target = Shared>> Drop for Held<B> {
    #[inline]
    fn drop(&mut self) {
        if let Some(breaker) = self.breaker.take() {
            breaker.cancel(self.ticket);
        }
    }
}

fn is_failure(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Unavailable
            | ErrorKind::DeadlineExceeded
            | ErrorKind::Overloaded
            | ErrorKind::Corrupt
            | ErrorKind::Internal
    )
}
