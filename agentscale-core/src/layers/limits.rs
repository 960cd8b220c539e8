//! Bounds of configuration values.

use std::fmt::Display;
use std::ops::RangeInclusive;

use crate::{Error, ErrorKind, Result};

/// More calls at once than a process holds.
pub(super) const MOST_CALLS: u32 = 1_000_000;
/// A longer wait is a mistake in the unit.
pub(super) const DAY_MS: u128 = 86_400_000;

/// `invalid_input` that names `field`, unless its value lies within `bounds`.
pub(super) fn within<T: PartialOrd + Display + Copy>(
    operation: &'static str,
    field: &'static str,
    value: T,
    bounds: RangeInclusive<T>,
) -> Result<()> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, operation)
        .with_context(field, value)
        .with_context("at_least", bounds.start())
        .with_context("at_most", bounds.end()))
}
