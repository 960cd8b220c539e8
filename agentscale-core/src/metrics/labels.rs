use super::metric::is_name;
use crate::{Error, ErrorKind, Result};

/// How many labels a metric can have.
pub const MAX_LABELS: usize = 8;

/// The longest value of a label that stands for itself; a longer one is counted as `other`.
pub const MAX_LABEL_VALUE_BYTES: usize = 128;

/// What stands for the values that are too many or too long.
const OTHER: &str = "other";

/// Labels as they are passed: names from the code, values from anywhere.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// The values of a series, in the order of its metric's label names.
pub(super) type LabelValues = Box<[Box<str>]>;

pub(super) fn check(labels: Labels<'_>) -> Result<()> {
    let names = || labels.iter().map(|(name, _)| *name);
    // `le` is the label of a histogram's buckets.
    let valid = labels.len() <= MAX_LABELS && names().all(|name| is_name(name) && name != "le");
    let distinct = names().enumerate().all(|(i, name)| names().skip(i + 1).all(|other| other != name));
    if valid && distinct {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "label a metric")
        .with_context("labels", names().collect::<Vec<_>>().join(",")))
}

pub(super) fn values(labels: Labels<'_>) -> LabelValues {
    labels.iter().map(|(_, value)| Box::from(*value)).collect()
}

pub(super) fn other(labels: Labels<'_>) -> LabelValues {
    labels.iter().map(|_| Box::from(OTHER)).collect()
}

pub(super) fn too_long(labels: Labels<'_>) -> bool {
    labels.iter().any(|(_, value)| value.len() > MAX_LABEL_VALUE_BYTES)
}
