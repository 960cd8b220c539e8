use std::sync::Arc;

use super::slots::Slots;
use crate::layers::Guard;
use crate::{Error, Result};

/// A slot of a [`Bulkhead`](super::Bulkhead), free again when this is dropped.
#[derive(Debug)]
#[must_use = "a permit that is dropped frees its slot"]
pub struct BulkheadPermit {
    slots: Arc<Slots>,
}

impl BulkheadPermit {
    #[inline]
    pub(super) fn take(slots: &Arc<Slots>) -> Option<Self> {
        slots.try_take().then(|| Self { slots: slots.clone() })
    }

    /// For a slot that was taken already.
    pub(super) fn of_taken(slots: &Arc<Slots>) -> Self {
        Self { slots: slots.clone() }
    }
}

impl Guard for BulkheadPermit {
    #[inline]
    fn resolve(self, _: Result<(), &Error>) {}
}

impl Drop for BulkheadPermit {
    #[inline]
    fn drop(&mut self) {
        self.slots.release();
    }
}
