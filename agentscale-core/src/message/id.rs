use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of a message: a UUID of version 7 whose sub-millisecond bits are part of the time (RFC 9562, 6.2,
/// method 3), so that ids of one clock sort by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// A new id at `unix_micros`, microseconds since the Unix epoch.
    pub fn new(unix_micros: u64) -> Self {
        let millis = unix_micros / 1_000;
        // 12 bits hold a fraction of a millisecond in steps of 1/4096.
        let fraction = (unix_micros % 1_000) * 4_096 / 1_000;
        let random = fastrand::u64(..) >> 2;
        Self(Uuid::from_u64_pair(millis << 16 | 0x7000 | fraction, 0x8000_0000_0000_0000 | random))
    }

    /// The id as a UUID.
    pub fn as_uuid(&self) -> &Uuid {
        &self.0
    }
}

impl From<Uuid> for MessageId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_7_and_sort_by_time() {
        let ids: Vec<_> = (0..100).map(|i| MessageId::new(1_700_000_000_000_000 + i)).collect();
        assert!(ids.is_sorted());
        for id in &ids {
            assert_eq!(id.0.get_version_num(), 7);
            assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
        }
    }
}
