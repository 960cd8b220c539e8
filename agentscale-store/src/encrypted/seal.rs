//! Bytes under a key, bound to the place where they belong.
//!
//! A sealed value is its head (format, id of the key, where it was written), a random nonce of 24 bytes, the ciphertext
//! and the tag of XChaCha20-Poly1305. The associated data is the head and the name of the place.

use agentscale_core::{AgentId, Error, ErrorKind, IdempotencyKey, MessageId, Result};
use bytes::{BufMut, Bytes};
use chacha20poly1305::aead::Generate;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};

use super::keys::{KeyId, TenantKey};

const FORMAT: u8 = 1;
const HEAD: usize = 1 + 4 + 1 + 8 + 4;
const NONCE: usize = 24;
const TAG: usize = 16;
/// What a sealed value is longer than what it seals.
pub(super) const OVERHEAD: usize = HEAD + NONCE + TAG;

/// A thread, in 16 bytes.
pub(super) type Line = [u8; 16];

pub(super) fn line(thread: &AgentId) -> Line {
    let mut name = Vec::new();
    for part in [thread.tenant.as_str(), thread.agent_type.as_str(), thread.key.as_str()] {
        put(&mut name, part.as_bytes());
    }
    let mut line = Line::default();
    line.copy_from_slice(&blake3::derive_key("agentscale checkpoint thread 1", &name)[..16]);
    line
}

/// Where in the history of a state a field was written: in which of the threads that it was forked through, counted from
/// the first, at which version, as which of the commit's writes. Later ones compare greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Written {
    pub(super) depth: u8,
    pub(super) version: u64,
    pub(super) place: u32,
}

/// What a sealed value is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slot<'a> {
    Value { field: &'a str },
    Items { field: &'a str },
    Reply { key: &'a IdempotencyKey },
    Step { turn: &'a str, index: u32 },
    Message { id: MessageId },
    Cause { id: MessageId },
}

/// The key under which something was sealed, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) key: KeyId,
    pub(super) written: Written,
}

impl Head {
    /// # Errors
    /// `corrupt` for bytes that [`seal`] did not make.
    pub(super) fn read(sealed: &[u8]) -> Result<Self> {
        if sealed.len() < OVERHEAD || sealed[0] != FORMAT {
            return Err(corrupt("not encrypted by this store"));
        }
        let number = |from: usize, bytes: usize| {
            sealed[from..from + bytes].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let written = Written { depth: sealed[5], version: number(6, 8), place: number(14, 4) as u32 };
        Ok(Self { key: KeyId(number(1, 4) as u32), written })
    }

    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.put_u8(FORMAT);
        bytes.put_u32(self.key.0);
        bytes.put_u8(self.written.depth);
        bytes.put_u64(self.written.version);
        bytes.put_u32(self.written.place);
        bytes
    }
}

/// # Errors
/// `unavailable` where the system gives no random bytes; `too_large` beyond 256 GiB.
pub(super) fn seal(key: &TenantKey, head: Head, line: &Line, slot: Slot<'_>, plain: &[u8]) -> Result<Bytes> {
    let nonce = XNonce::try_generate()
        .map_err(|error| Error::new(ErrorKind::Unavailable, "encrypt").with_source(error))?;
    let head = head.bytes();
    let associated = associated(&head, line, slot);
    let mut sealed = Vec::with_capacity(OVERHEAD + plain.len());
    sealed.extend_from_slice(&head);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let body = &mut sealed[HEAD + NONCE..];
    let tag = XChaCha20Poly1305::new(key.bytes().into())
        .encrypt_inout_detached(&nonce, &associated, body.into())
        .map_err(|_| Error::new(ErrorKind::TooLarge, "encrypt"))?;
    sealed.extend_from_slice(&tag);
    Ok(sealed.into())
}

/// # Errors
/// `corrupt` for another key than it was sealed with, another place, or changed bytes: they cannot be told apart.
pub(super) fn open(key: &TenantKey, line: &Line, slot: Slot<'_>, sealed: &[u8]) -> Result<Bytes> {
    let failed = || corrupt("does not open with its key at this place");
    let (front, tag) = sealed.split_at_checked(sealed.len().saturating_sub(TAG)).ok_or_else(failed)?;
    let (head, rest) = front.split_at_checked(HEAD).ok_or_else(failed)?;
    let (nonce, body) = rest.split_at_checked(NONCE).ok_or_else(failed)?;
    let nonce = XNonce::try_from(nonce).map_err(|_| failed())?;
    let tag = Tag::try_from(tag).map_err(|_| failed())?;
    let mut plain = body.to_vec();
    XChaCha20Poly1305::new(key.bytes().into())
        .decrypt_inout_detached(&nonce, &associated(head, line, slot), plain.as_mut_slice().into(), &tag)
        .map_err(|_| failed())?;
    Ok(plain.into())
}

pub(super) fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "decrypt").with_context("reason", reason)
}

fn associated(head: &[u8], line: &Line, slot: Slot<'_>) -> Vec<u8> {
    let mut data = Vec::with_capacity(128);
    data.extend_from_slice(head);
    data.extend_from_slice(line);
    match slot {
        Slot::Value { field } => named(&mut data, 1, field.as_bytes()),
        Slot::Items { field } => named(&mut data, 2, field.as_bytes()),
        Slot::Reply { key } => named(&mut data, 3, key.as_str().as_bytes()),
        Slot::Step { turn, index } => {
            named(&mut data, 4, turn.as_bytes());
            data.put_u32(index);
        }
        Slot::Message { id } => named(&mut data, 5, id.as_uuid().as_bytes()),
        Slot::Cause { id } => named(&mut data, 6, id.as_uuid().as_bytes()),
    }
    data
}

fn named(data: &mut Vec<u8>, slot: u8, name: &[u8]) {
    data.put_u8(slot);
    put(data, name);
}

fn put(data: &mut Vec<u8>, part: &[u8]) {
    data.put_u32(part.len() as u32);
    data.put_slice(part);
}

#[cfg(test)]
mod tests {
    use agentscale_core::Tenant;
    use proptest::prelude::*;

    use super::*;

    fn slots(name: &str, id: MessageId, key: &IdempotencyKey, index: u32) -> [Slot<'static>; 6] {
        let name: &'static str = name.to_owned().leak();
        let key: &'static IdempotencyKey = Box::leak(Box::new(key.clone()));
        [
            Slot::Value { field: name },
            Slot::Items { field: name },
            Slot::Reply { key },
            Slot::Step { turn: name, index },
            Slot::Message { id },
            Slot::Cause { id },
        ]
    }

    fn head(key: u32, depth: u8, version: u64, place: u32) -> Head {
        Head { key: KeyId(key), written: Written { depth, version, place } }
    }

    fn is_corrupt(opened: Result<Bytes>) -> bool {
        opened.is_err_and(|error| error.kind() == ErrorKind::Corrupt)
    }

    #[test]
    fn threads_whose_names_run_together_alike_are_apart() {
        let tenant = Tenant::new("acme").unwrap();
        let id = |agent_type: &str, key: &str| AgentId::new(&tenant, agent_type, key).unwrap();
        assert_ne!(line(&id("ab", "c")), line(&id("a", "bc")));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_at_its_place_only(
            plain in proptest::collection::vec(any::<u8>(), 0..200),
            names in ("[a-z]{1,9}", "[a-z]{1,9}"),
            (slot, other) in (0_usize..6, 0_usize..6),
            (version, place, depth) in (any::<u64>(), any::<u32>(), any::<u8>()),
            at in any::<prop::sample::Index>(),
            bit in 0_u32..8,
        ) {
            let (key, stranger) = (TenantKey::new([1; 32]), TenantKey::new([2; 32]));
            let reply = IdempotencyKey::new(names.0.clone()).unwrap();
            let id = MessageId::new(1);
            let slots_here = slots(&names.0, id, &reply, 7);
            let head = head(9, depth, version, place);
            let sealed = seal(&key, head, &[3; 16], slots_here[slot], &plain).unwrap();
            prop_assert_eq!(sealed.len(), plain.len() + OVERHEAD);
            prop_assert_eq!(Head::read(&sealed).unwrap().written, head.written);
            prop_assert_eq!(Head::read(&sealed).unwrap().key, head.key);
            prop_assert_eq!(open(&key, &[3; 16], slots_here[slot], &sealed).unwrap(), plain);

            prop_assert!(is_corrupt(open(&stranger, &[3; 16], slots_here[slot], &sealed)));
            prop_assert!(is_corrupt(open(&key, &[4; 16], slots_here[slot], &sealed)));
            if slot != other {
                prop_assert!(is_corrupt(open(&key, &[3; 16], slots_here[other], &sealed)));
            }
            let elsewhere = slots(&names.1, MessageId::new(2), &IdempotencyKey::new(names.1.clone()).unwrap(), 8);
            if names.0 != names.1 {
                prop_assert!(is_corrupt(open(&key, &[3; 16], elsewhere[slot], &sealed)));
            }
            let mut changed = sealed.to_vec();
            changed[at.index(sealed.len())] ^= 1 << bit;
            prop_assert!(is_corrupt(open(&key, &[3; 16], slots_here[slot], &changed)));
            let short = &sealed[..at.index(sealed.len())];
            prop_assert!(is_corrupt(open(&key, &[3; 16], slots_here[slot], short)));
            prop_assert!(short.len() >= OVERHEAD || Head::read(short).is_err());
        }
    }
}
