use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// How a hash is written.
const PREFIX: &str = "blake3:";

/// The hash of an API key: what the configuration holds in its place.
///
/// A key has 256 bits of chance, so that one fast hash cannot be turned round; a password would need a slow one. Two
/// hashes are compared in constant time.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct KeyHash(blake3::Hash);

impl KeyHash {
    pub(crate) fn of(key: &str) -> Self {
        Self(blake3::hash(key.as_bytes()))
    }

    /// What it is looked up by; it is of the hash and tells nothing of the key.
    pub(super) fn beginning(&self) -> [u8; 8] {
        let mut beginning = [0; 8];
        beginning.copy_from_slice(&self.0.as_bytes()[..8]);
        beginning
    }
}

/// A key of 256 bits that nobody had before.
pub(super) fn new_key() -> Result<String, getrandom::Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    Ok(format!("sk-agentscale-{}", URL_SAFE_NO_PAD.encode(secret)))
}

impl TryFrom<String> for KeyHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let hex = text.strip_prefix(PREFIX).ok_or("a key's hash begins with `blake3:`")?;
        blake3::Hash::from_hex(hex).map(Self).map_err(|_| "a key's hash has 64 hexadecimal digits")
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.to_hex())
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_as_it_was_written() {
        let hash = KeyHash::of("demo");
        assert_eq!(KeyHash::try_from(hash.to_string()), Ok(hash));
        assert_ne!(KeyHash::of("demo "), hash);
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for text in ["demo", "sha256:00", "blake3:12"] {
            assert!(KeyHash::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn no_two_new_keys_are_alike() {
        let keys = [new_key().unwrap(), new_key().unwrap()];
        assert_ne!(keys[0], keys[1]);
        assert!(keys[0].len() > 50);
    }
}
