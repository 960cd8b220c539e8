use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CacheKey, CacheScope};

/// What sort of thing a [`Tag`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TagKind {
    /// A file.
    File,
    /// A tool, as it is registered.
    Tool,
    /// An agent's definition.
    Definition,
    /// What an agent remembers.
    Memory,
    /// A user's session.
    Session,
    /// Anything else, told apart by its name.
    Other,
}

/// A thing that entries were made from: when it changes, what used it is void, and nothing else is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag {
    pub(super) scope: CacheScope,
    pub(super) id: TagId,
}

/// A tag as it is known to Redis and in messages: a hash of kind, scope and name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TagId(pub(super) [u8; 32]);

impl Tag {
    /// Something of a tenant's, or of [the host's](CacheScope::Host). The name may be any bytes; a hash of it is kept.
    pub fn new(scope: impl Into<CacheScope>, kind: TagKind, name: impl AsRef<[u8]>) -> Self {
        Self::of_key(kind, &CacheKey::new(scope, name))
    }

    /// Whose it is.
    pub fn scope(&self) -> &CacheScope {
        &self.scope
    }

    /// The tag that has the name of a key.
    pub(super) fn of_key(kind: TagKind, key: &CacheKey) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"tag").update(&[kind as u8]).update(&key.hash);
        Self { scope: key.scope.clone(), id: TagId(hasher.finalize().into()) }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tag").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl fmt::Debug for TagId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from(self.0).to_hex())
    }
}
