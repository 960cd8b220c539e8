use std::fmt;

use agentscale_core::Tenant;

/// Whose something is. Nothing of one scope is found, used or changed from another, but that a tenant's entries may
/// use what is the host's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CacheScope {
    /// The host application's own: agent definitions, tool schemas, what no tenant may change.
    Host,
    /// One tenant's.
    Tenant(Tenant),
}

impl CacheScope {
    /// Whether an entry of this scope may use what is `other`'s.
    pub(super) fn may_use(&self, other: &Self) -> bool {
        *other == Self::Host || self == other
    }

    /// A hash of a name within this scope, whatever the name's bytes and length are.
    pub(super) fn hash(&self, name: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        match self {
            Self::Host => hasher.update(&[0]),
            Self::Tenant(tenant) => {
                // Names are at most 256 bytes long.
                hasher.update(&[1]).update(&(tenant.as_str().len() as u64).to_be_bytes());
                hasher.update(tenant.as_str().as_bytes())
            }
        };
        hasher.update(name).finalize().into()
    }
}

impl From<&Tenant> for CacheScope {
    fn from(tenant: &Tenant) -> Self {
        Self::Tenant(tenant.clone())
    }
}

/// Names an entry within one [`Cache`](super::Cache): whose it is, and bytes of any sort and length, of which only a
/// hash is kept.
///
/// Making one takes the hash, so keep it where the same is asked for again.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CacheKey {
    pub(super) scope: CacheScope,
    pub(super) hash: [u8; 32],
}

impl CacheKey {
    /// A key of a tenant's, or of [the host's](CacheScope::Host).
    pub fn new(scope: impl Into<CacheScope>, name: impl AsRef<[u8]>) -> Self {
        let scope = scope.into();
        let hash = scope.hash(name.as_ref());
        Self { scope, hash }
    }

    /// Whose the entry is.
    pub fn scope(&self) -> &CacheScope {
        &self.scope
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheKey").field("scope", &self.scope).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_another_thing_in_another_scope_and_lengths_count() {
        let tenant = |name: &str| Tenant::new(name).unwrap();
        let keys = [
            CacheKey::new(CacheScope::Host, "abc"),
            CacheKey::new(&tenant("a"), "bc"),
            CacheKey::new(&tenant("ab"), "c"),
            CacheKey::new(&tenant("ab"), "c\0"),
            CacheKey::new(&tenant("ab"), ""),
            CacheKey::new(&tenant("ab"), ":c"),
        ];
        for (at, key) in keys.iter().enumerate() {
            assert!(keys[..at].iter().all(|other| other.hash != key.hash));
        }
    }
}
