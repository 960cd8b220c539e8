//! A state as bytes: a format byte, 16 bytes of a hash of its name and of what follows, the state's fields.

use agentscale_core::checkpoint::Field;
use bytes::Bytes;

use crate::cached::states::StateKey;
use crate::checkpoint::codec;
use crate::delta;
use crate::redis_link;

const FORMAT: u8 = 1;
const CHECKSUM: usize = 16;

/// The same for everybody, of one length, and readable only as far as the namespace.
pub(super) fn name(namespace: &str, key: &StateKey) -> String {
    let hash = blake3::Hash::from(blake3::derive_key("agentscale state in redis 1", &key.bytes()));
    format!("{namespace}:state:{}", hash.to_hex())
}

pub(super) fn bytes(fields: &[Field]) -> usize {
    let bytes = |field: &Field| {
        field.name.len()
            + field.value.as_ref().map_or(0, Bytes::len)
            + field.appended.iter().map(Bytes::len).sum::<usize>()
    };
    fields.iter().map(bytes).sum()
}

pub(super) fn encode(name: &str, fields: &[Field]) -> Vec<u8> {
    let state = codec::encode(&codec::whole(fields));
    let mut value = Vec::with_capacity(1 + CHECKSUM + state.len());
    value.push(FORMAT);
    value.extend_from_slice(&checksum(name, &state));
    value.extend_from_slice(&state);
    value
}

/// `None` for bytes that [`encode`] did not make under this name.
pub(super) fn decode(name: &str, value: &[u8]) -> Option<Vec<Field>> {
    let (head, state) = value.split_at_checked(1 + CHECKSUM)?;
    if head[0] != FORMAT || head[1..] != checksum(name, state) {
        return None;
    }
    Some(delta::fold(Vec::new(), codec::decode(state.to_vec()).ok()?))
}

fn checksum(name: &str, state: &[u8]) -> [u8; CHECKSUM] {
    redis_link::checksum(&[name.as_bytes(), state])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_under_its_name_and_as_it_was() {
        let field =
            |name: &str| Field { name: name.into(), value: Some("1".into()), appended: vec!["[2]".into()] };
        let fields = [field("a"), field("b")];
        let value = encode("name", &fields);
        assert_eq!(decode("name", &value).unwrap(), fields);
        assert_eq!(decode("another", &value), None);
        for at in 0..value.len() {
            let mut changed = value.clone();
            changed[at] ^= 1;
            assert_eq!(decode("name", &changed), None);
            assert_eq!(decode("name", &value[..at]), None);
        }
    }
}
