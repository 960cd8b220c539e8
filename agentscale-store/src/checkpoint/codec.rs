//! The bytes of a delta: a format byte, then for each write operation, name and bytes, each with its
//! length before it.

use agentscale_core::checkpoint::{Field, FieldWrite};
use agentscale_core::{Error, ErrorKind, Result};
use bytes::{Buf, BufMut, Bytes};

const FORMAT: u8 = 1;
const REPLACE: u8 = 1;
const APPEND: u8 = 2;
const REMOVE: u8 = 3;

/// The writes that make a state out of nothing.
pub(crate) fn whole(fields: &[Field]) -> Vec<FieldWrite> {
    let mut writes = Vec::with_capacity(fields.len());
    for field in fields {
        let name = &field.name;
        writes.extend(
            field.value.iter().map(|value| FieldWrite::Replace { name: name.clone(), value: value.clone() }),
        );
        writes.extend(
            field
                .appended
                .iter()
                .map(|items| FieldWrite::Append { name: name.clone(), items: items.clone() }),
        );
    }
    writes
}

/// Writes as bytes; a name has at most [`MAX_NAME_BYTES`](agentscale_core::MAX_NAME_BYTES).
pub(crate) fn encode(writes: &[FieldWrite]) -> Vec<u8> {
    let length: usize = writes.iter().map(|write| 7 + write.name().len() + write.len()).sum();
    let mut bytes = Vec::with_capacity(1 + length);
    bytes.put_u8(FORMAT);
    for write in writes {
        let (operation, data): (u8, &[u8]) = match write {
            FieldWrite::Replace { value, .. } => (REPLACE, value),
            FieldWrite::Append { items, .. } => (APPEND, items),
            FieldWrite::Remove { .. } => (REMOVE, &[]),
        };
        bytes.put_u8(operation);
        bytes.put_u16(write.name().len() as u16);
        bytes.put_slice(write.name().as_bytes());
        bytes.put_u32(data.len() as u32);
        bytes.put_slice(data);
    }
    bytes
}

/// # Errors
/// `corrupt` for bytes that [`encode`] did not make.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<Vec<FieldWrite>> {
    let mut rest = Bytes::from(bytes);
    if rest.try_get_u8().ok() != Some(FORMAT) {
        return Err(corrupt());
    }
    let mut writes = Vec::new();
    while rest.has_remaining() {
        writes.push(decode_write(&mut rest).ok_or_else(corrupt)?);
    }
    Ok(writes)
}

fn decode_write(rest: &mut Bytes) -> Option<FieldWrite> {
    let operation = rest.try_get_u8().ok()?;
    let name_bytes = usize::from(rest.try_get_u16().ok()?);
    let name = String::from_utf8(take(rest, name_bytes)?.to_vec()).ok()?;
    let data_bytes = rest.try_get_u32().ok()? as usize;
    let data = take(rest, data_bytes)?;
    match operation {
        REPLACE => Some(FieldWrite::Replace { name, value: data }),
        APPEND => Some(FieldWrite::Append { name, items: data }),
        REMOVE if data.is_empty() => Some(FieldWrite::Remove { name }),
        _ => None,
    }
}

fn take(rest: &mut Bytes, length: usize) -> Option<Bytes> {
    (rest.len() >= length).then(|| rest.split_to(length))
}

fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "decode checkpoint")
}
