//! What the index knows about one partition.

use agentscale_core::{Error, ErrorKind, Result};
use roaring::RoaringBitmap;

/// The stored state of a partition: whether it has a graph, how many vectors wait to enter it, and which
/// items were deleted since it was built.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PartitionState {
    pub(super) graph: Option<u16>,
    pub(super) pending: u64,
    pub(super) dead: RoaringBitmap,
}

impl PartitionState {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![u8::from(self.graph.is_some())];
        bytes.extend(self.graph.unwrap_or_default().to_be_bytes());
        bytes.extend(self.pending.to_be_bytes());
        let encoded = self.dead.serialize_into(&mut bytes);
        encoded.map_err(|error| Error::new(ErrorKind::Internal, "encode partition").with_source(error))?;
        Ok(bytes)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let corrupt = || Error::new(ErrorKind::Corrupt, "decode partition");
        let (head, dead) = bytes.split_at_checked(11).ok_or_else(corrupt)?;
        let graph = u16::from_be_bytes([head[1], head[2]]);
        let pending = head[3..11].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let dead = RoaringBitmap::deserialize_from(dead).map_err(|error| corrupt().with_source(error))?;
        Ok(Self { graph: (head[0] == 1).then_some(graph), pending, dead })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_its_encoding_and_a_cut_one_is_corrupt() {
        let state = PartitionState { graph: Some(513), pending: 70_000, dead: [1, 9, 70_000].into() };
        let bytes = state.encode().unwrap();
        assert_eq!(PartitionState::decode(&bytes).unwrap(), state);
        assert_eq!(PartitionState::decode(&bytes[..10]).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(PartitionState::decode(&bytes[..13]).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
