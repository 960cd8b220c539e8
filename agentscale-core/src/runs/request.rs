use std::time::Duration;

use super::{Epoch, EventId, NewEvent, RunId, RunStreamLimits};
use crate::{Error, ErrorKind, Result};

/// Numbers of events that every store reckons with exactly.
const MAX_NUMBER: u64 = 1 << 52;

/// Who runs a run from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenRun {
    /// The run.
    pub run: RunId,
    /// Of its owner.
    pub epoch: Epoch,
}

impl OpenRun {
    /// Opens a run's stream.
    pub fn new(run: RunId, epoch: Epoch) -> Self {
        Self { run, epoch }
    }
}

/// Events for a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendEvents {
    /// The run.
    pub run: RunId,
    /// Of its owner.
    pub epoch: Epoch,
    /// The number of the first event; the others follow. Numbers that are left out are a gap.
    pub first: u64,
    /// In their order. Nothing is read behind one that ends the stream.
    pub events: Vec<NewEvent>,
}

impl AppendEvents {
    /// Appends events.
    pub fn new(run: RunId, epoch: Epoch, first: u64, events: Vec<NewEvent>) -> Self {
        Self { run, epoch, first, events }
    }

    /// Refuses what no stream takes.
    ///
    /// # Errors
    /// `invalid_input` for a first number out of 1 to 2^52; `too_large` for an event over the limit.
    pub fn check(&self, limits: &RunStreamLimits) -> Result<()> {
        if self.first == 0 || self.first > MAX_NUMBER {
            return Err(
                Error::new(ErrorKind::InvalidInput, "append events").with_context("number", self.first)
            );
        }
        self.events.iter().try_for_each(|event| limits.check_event(event))
    }
}

/// A look into a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadEvents {
    /// The run.
    pub run: RunId,
    /// The last event that is known already; `None` reads from the beginning.
    pub after: Option<EventId>,
    /// How many events are given at most, 1 at least. Default 256.
    pub limit: usize,
    /// How long an event is waited for where there is none. Default: not at all.
    pub wait: Duration,
}

impl ReadEvents {
    /// Reads from the beginning what is there.
    pub fn new(run: RunId) -> Self {
        Self { run, after: None, limit: 256, wait: Duration::ZERO }
    }

    /// Reads what stands behind an event.
    #[must_use]
    pub fn after(mut self, last: Option<EventId>) -> Self {
        self.after = last;
        self
    }

    /// Sets how many events are given at most.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// Sets how long an event is waited for.
    #[must_use]
    pub fn with_wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

/// The error for an owner whose stream a newer one has opened.
pub fn stale(operation: &'static str, run: &RunId, newest: Epoch) -> Error {
    Error::new(ErrorKind::Fenced, operation)
        .with_context("run", run)
        .with_context("epoch", format_args!("{}-{}", newest.incarnation, newest.counter))
}

/// The error for events behind the end of their stream.
pub fn ended(run: &RunId) -> Error {
    Error::new(ErrorKind::Conflict, "append events")
        .with_context("run", run)
        .with_context("reason", "it ended")
}

/// The error for an id that no event has yet.
pub fn from_the_future(run: &RunId, after: EventId, last: EventId) -> Error {
    Error::new(ErrorKind::InvalidInput, "read events")
        .with_context("run", run)
        .with_context("after", after)
        .with_context("last", last)
}
