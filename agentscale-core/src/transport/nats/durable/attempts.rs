use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What this member knows of deliveries that it has had. The stream counts deliveries; those that found an inbox full
/// are no attempts.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<HashMap<u64, Known>>);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The newest delivery, by the stream's count.
    delivered: u32,
    refused: u32,
    /// Whether the newest delivery was refused.
    is_refused: bool,
    fault: Option<&'static str>,
}

/// What the end of a delivery without an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is a newer delivery already.
    Replaced,
    /// It found no room.
    Refused,
    /// An attempt has failed.
    Attempt,
}

impl Attempts {
    /// Notes a delivery; gives which attempt it is, and why the last one failed where that is known here.
    pub(super) fn begin(&self, sequence: u64, delivered: u32) -> (u32, Option<&'static str>) {
        let mut known = self.known();
        let known = known.entry(sequence).or_default();
        known.delivered = delivered;
        known.is_refused = false;
        (delivered.saturating_sub(known.refused).max(1), known.fault)
    }

    /// Notes that the delivery found no room.
    pub(super) fn refused(&self, sequence: u64) {
        if let Some(known) = self.known().get_mut(&sequence) {
            known.refused += 1;
            known.is_refused = true;
        }
    }

    /// Notes why a delivery failed.
    pub(super) fn failed(&self, sequence: u64, delivered: u32, fault: &'static str) -> Failure {
        match self.known().get_mut(&sequence) {
            Some(known) if known.delivered != delivered => Failure::Replaced,
            None => Failure::Replaced,
            Some(known) if known.is_refused => Failure::Refused,
            Some(known) => {
                known.fault = Some(fault);
                Failure::Attempt
            }
        }
    }

    /// Whether this is the newest delivery.
    pub(super) fn is_newest(&self, sequence: u64, delivered: u32) -> bool {
        self.known().get(&sequence).is_some_and(|known| known.delivered == delivered)
    }

    pub(super) fn end(&self, sequence: u64) {
        self.known().remove(&sequence);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
