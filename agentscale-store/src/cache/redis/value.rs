//! An entry as bytes, which the scripts read as far as its tags: a format byte, 4 digits that count the tags, for each 64
//! hexadecimal digits and 20 of its version; then 16 bytes of a hash of the entry's name and all that is beside it, and the
//! value.

use std::time::Duration;

use redis::Value;

use super::scripts::hex;
use crate::cache::shared::{Looked, Refused, Shared, Versions};
use crate::cache::tag::TagId;
use crate::redis_link;

const FORMAT: u8 = b'1';
const TAG: usize = 64 + 20;
const CHECKSUM: usize = 16;

pub(super) fn encode(name: &str, value: &[u8], tags: &[(TagId, u64)]) -> Vec<u8> {
    let mut head = Vec::with_capacity(5 + tags.len() * TAG + CHECKSUM + value.len());
    head.push(FORMAT);
    head.extend_from_slice(format!("{:04}", tags.len()).as_bytes());
    for (tag, version) in tags {
        head.extend_from_slice(format!("{}{version:020}", hex(&tag.0)).as_bytes());
    }
    let checksum = checksum(name, &head, value);
    head.extend_from_slice(&checksum);
    head.extend_from_slice(value);
    head
}

/// `None` for what is not an answer, or not an entry of this name.
pub(super) fn looked(name: Option<&str>, answer: Value) -> Option<Looked> {
    let Value::Array(answer) = answer else { return None };
    let mut parts = answer.into_iter();
    match (parts.next()?, name) {
        (Value::BulkString(entry), Some(name)) => {
            let Value::Int(left) = parts.next()? else { return None };
            let (tags, value) = decode(name, &entry)?;
            // One that is about to go has no time left; nothing here is without an end.
            let left = Duration::from_millis(u64::try_from(left).unwrap_or(0));
            Some(Looked::Entry(Shared { value, tags, left }))
        }
        (Value::Int(refused), _) => {
            let refused = if refused == 0 { Refused::Nothing } else { Refused::Changed };
            let versions = parts.map(|version| match version {
                Value::BulkString(digits) => number(&digits),
                _ => None,
            });
            Some(Looked::Versions(versions.collect::<Option<_>>()?, refused))
        }
        _ => None,
    }
}

fn decode(name: &str, entry: &[u8]) -> Option<(Versions, Vec<u8>)> {
    let count = usize::try_from(number(entry.get(1..5)?)?).ok()?;
    let (head, rest) = entry.split_at_checked(5 + count * TAG)?;
    let (sum, value) = rest.split_at_checked(CHECKSUM)?;
    if head[0] != FORMAT || sum != checksum(name, head, value) {
        return None;
    }
    let tag = |bytes: &[u8]| {
        let hash = blake3::Hash::from_hex(&bytes[..64]).ok()?;
        Some((TagId(hash.into()), number(&bytes[64..])?))
    };
    Some((head[5..].chunks_exact(TAG).map(tag).collect::<Option<_>>()?, value.to_vec()))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn checksum(name: &str, head: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    let length = (name.len() as u64).to_be_bytes();
    redis_link::checksum(&[&length, name.as_bytes(), head, value])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_under_its_name_and_as_it_was() {
        let tags = [(TagId([7; 32]), 1), (TagId([8; 32]), u64::MAX)];
        let entry = encode("name", b"value", &tags);
        assert_eq!(decode("name", &entry).unwrap(), (tags.to_vec(), b"value".to_vec()));
        assert!(decode("another", &entry).is_none());
        for at in 0..entry.len() {
            let mut changed = entry.clone();
            changed[at] ^= 1;
            assert!(decode("name", &changed).is_none() && decode("name", &entry[..at]).is_none());
        }
    }

    #[test]
    fn an_answer_of_another_shape_is_none() {
        let text = |text: &str| Value::BulkString(text.into());
        for answer in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![text("entry"), Value::Int(1)]),
            Value::Array(vec![Value::Int(0), text("x")]),
            Value::Array(vec![Value::Int(0), Value::Nil]),
        ] {
            assert!(looked(Some("name"), answer).is_none());
        }
        assert!(looked(None, Value::Array(vec![text("entry"), Value::Int(1)])).is_none());
    }
}
