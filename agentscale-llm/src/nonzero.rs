use agentscale_core::{Error, ErrorKind, Result};

/// Refuses a configuration in which a field is zero that must not be.
pub(crate) fn nonzero(
    operation: &'static str,
    fields: impl IntoIterator<Item = (&'static str, Option<u64>)>,
) -> Result<()> {
    match fields.into_iter().find(|(_, value)| *value == Some(0)) {
        Some((field, _)) => Err(Error::new(ErrorKind::InvalidInput, operation)
            .with_context("field", field)
            .with_context("reason", "zero")),
        None => Ok(()),
    }
}
