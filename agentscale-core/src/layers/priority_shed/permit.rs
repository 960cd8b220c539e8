use std::sync::Arc;

use super::shed::Shared;
use crate::layers::Guard;
use crate::{Error, Result};

/// The place of one call of a class, free again when this is dropped.
#[derive(Debug)]
#[must_use = "a permit that is dropped frees its place"]
pub struct ShedPermit {
    shared: Arc<Shared>,
    class: usize,
}

impl ShedPermit {
    #[inline]
    pub(super) fn new(shared: Arc<Shared>, class: usize) -> Self {
        Self { shared, class }
    }
}

impl Guard for ShedPermit {
    #[inline]
    fn resolve(self, _: Result<(), &Error>) {}
}

impl Drop for ShedPermit {
    #[inline]
    fn drop(&mut self) {
        self.shared.release(self.class);
    }
}
