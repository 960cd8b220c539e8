//! What a commit does to the fields of a state: bytes, limits, folding.

use std::collections::BTreeMap;

use agentscale_core::checkpoint::{Commit, Field, FieldWrite, StateLimits};
use agentscale_core::{Error, ErrorKind, MAX_NAME_BYTES, Result};
use bytes::Bytes;

/// The bytes that count against [`StateLimits::commit_bytes`].
///
/// # Errors
/// `too_large` over that limit; `invalid_input` for a name of a field over [`MAX_NAME_BYTES`].
pub(crate) fn check_commit(commit: &Commit, limits: &StateLimits) -> Result<usize> {
    if let Some(write) = commit.fields.iter().find(|write| write.name().len() > MAX_NAME_BYTES) {
        return Err(Error::new(ErrorKind::InvalidInput, "commit")
            .with_context("thread", &commit.thread)
            .with_context("field_name_bytes", write.name().len()));
    }
    let fields: usize = commit.fields.iter().map(FieldWrite::len).sum();
    let outbox: usize = commit.outbox.iter().map(|entry| entry.message.len()).sum();
    let reply = commit.outcome.as_ref().and_then(|outcome| outcome.reply.as_ref()).map_or(0, Bytes::len);
    let bytes = fields + outbox + reply;
    if bytes > limits.commit_bytes {
        return Err(
            too_large("commit_bytes", bytes, limits.commit_bytes).with_context("thread", &commit.thread)
        );
    }
    Ok(bytes)
}

/// # Errors
/// `too_large` for a state over [`StateLimits::state_bytes`].
pub(crate) fn check_state(fields: &[Field], limits: &StateLimits) -> Result<()> {
    let bytes = state_bytes(fields);
    if bytes > limits.state_bytes {
        return Err(too_large("state_bytes", bytes, limits.state_bytes));
    }
    Ok(())
}

fn state_bytes(fields: &[Field]) -> usize {
    let bytes = |field: &Field| {
        field.value.as_ref().map_or(0, Bytes::len) + field.appended.iter().map(Bytes::len).sum::<usize>()
    };
    fields.iter().map(bytes).sum()
}

/// Applies writes, oldest first, to a state given by the names of its fields.
pub(crate) fn fold(fields: Vec<Field>, writes: impl IntoIterator<Item = FieldWrite>) -> Vec<Field> {
    let mut state: BTreeMap<String, Field> =
        fields.into_iter().map(|field| (field.name.clone(), field)).collect();
    for write in writes {
        match write {
            FieldWrite::Replace { name, value } => {
                state.insert(name.clone(), Field { name, value: Some(value), appended: Vec::new() });
            }
            FieldWrite::Append { name, items } => state
                .entry(name.clone())
                .or_insert_with(|| Field { name, value: None, appended: Vec::new() })
                .appended
                .push(items),
            FieldWrite::Remove { name } => {
                state.remove(&name);
            }
        }
    }
    state.into_values().collect()
}

fn too_large(limit: &'static str, bytes: usize, most: usize) -> Error {
    Error::new(ErrorKind::TooLarge, "commit").with_context("bytes", bytes).with_context(limit, most)
}
