//! The keys of tenants.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use agentscale_core::{Error, ErrorKind, Result, Tenant};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Names a key among those of its tenant; stands beside what the key has sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub u32);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A secret of 32 bytes. Not shown, and overwritten when its last clone goes.
#[derive(Clone)]
pub struct TenantKey(Arc<Zeroizing<[u8; 32]>>);

impl TenantKey {
    /// A key of bytes that were drawn at random. What the caller keeps of them is the caller's to overwrite.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TenantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKey(..)")
    }
}

/// Where an [`EncryptedCheckpointStore`](super::EncryptedCheckpointStore) gets keys from.
///
/// To rotate a tenant's key, give another one as the current; the old one stays as long as anything that it sealed does.
/// To make all of a tenant unreadable, forget its keys.
///
/// Asked once or more for each operation: an implementor that asks a service keeps the answers for a while.
#[async_trait]
pub trait TenantKeys: fmt::Debug + Send + Sync + 'static {
    /// The key that seals what is written from now on.
    ///
    /// # Errors
    /// `permission_denied` for a tenant without keys.
    async fn current(&self, tenant: &Tenant) -> Result<(KeyId, TenantKey)>;

    /// A key that has sealed something; `None` where there is none, or none any more.
    async fn key(&self, tenant: &Tenant, id: KeyId) -> Result<Option<TenantKey>>;
}

#[async_trait]
impl<T: TenantKeys + ?Sized> TenantKeys for Arc<T> {
    async fn current(&self, tenant: &Tenant) -> Result<(KeyId, TenantKey)> {
        (**self).current(tenant).await
    }

    async fn key(&self, tenant: &Tenant, id: KeyId) -> Result<Option<TenantKey>> {
        (**self).key(tenant, id).await
    }
}

/// Keys that the host has at hand. The one with the highest id is the current one.
#[derive(Clone, Debug, Default)]
pub struct StaticTenantKeys {
    tenants: HashMap<Tenant, BTreeMap<KeyId, TenantKey>>,
}

impl StaticTenantKeys {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more key of a tenant.
    #[must_use]
    pub fn with_key(mut self, tenant: Tenant, id: KeyId, key: TenantKey) -> Self {
        self.tenants.entry(tenant).or_default().insert(id, key);
        self
    }
}

#[async_trait]
impl TenantKeys for StaticTenantKeys {
    async fn current(&self, tenant: &Tenant) -> Result<(KeyId, TenantKey)> {
        let newest = self.tenants.get(tenant).and_then(|keys| keys.last_key_value());
        let (id, key) = newest.ok_or_else(|| {
            Error::new(ErrorKind::PermissionDenied, "find key")
                .with_context("tenant", tenant)
                .with_context("reason", "the tenant has no key")
        })?;
        Ok((*id, key.clone()))
    }

    async fn key(&self, tenant: &Tenant, id: KeyId) -> Result<Option<TenantKey>> {
        Ok(self.tenants.get(tenant).and_then(|keys| keys.get(&id)).cloned())
    }
}
