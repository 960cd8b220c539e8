use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Epoch;
use crate::ids::{LeaseHolder, LeaseKind, LeaseName, LeaseNote};
use crate::{Error, ErrorKind, MessageId, Result, Tenant};

/// The longest time of a lease.
pub const MAX_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// # Errors
/// `invalid_input` for less than a microsecond, and above [`MAX_TTL`].
pub fn check_ttl(ttl: Duration) -> Result<()> {
    if ttl >= Duration::from_micros(1) && ttl <= MAX_TTL {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "read time of lease")
        .with_context("ttl", format!("{ttl:?}"))
        .with_context("limit", format!("{MAX_TTL:?}")))
}

/// Names a lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaseKey {
    /// Whose it is.
    pub tenant: Tenant,
    /// What sort of thing it is for.
    pub kind: LeaseKind,
    /// Its name among those of its tenant and kind.
    pub name: LeaseName,
}

impl LeaseKey {
    /// Checks the names.
    ///
    /// # Errors
    /// `invalid_input` for a name that is none.
    pub fn new(tenant: &Tenant, kind: &str, name: &str) -> Result<Self> {
        Ok(Self { tenant: tenant.clone(), kind: kind.try_into()?, name: name.try_into()? })
    }
}

impl fmt::Display for LeaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.kind, self.name)
    }
}

/// Chosen by the caller of an acquisition, the same when it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AcquireId(pub Uuid);

/// Who wants a lease, for how long, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AcquireRequest {
    /// Chosen anew for each acquisition.
    pub id: AcquireId,
    /// The lease.
    pub key: LeaseKey,
    /// As whoever is refused shall read it.
    pub holder: LeaseHolder,
    /// What it is held for.
    pub note: Option<LeaseNote>,
    /// How long it lasts unless it is renewed.
    pub ttl: Duration,
}

impl AcquireRequest {
    /// A request with an id of its own.
    pub fn new(key: LeaseKey, holder: LeaseHolder, ttl: Duration) -> Self {
        // An id is told from others by its random half alone; its time is of no use here.
        Self { id: AcquireId(*MessageId::new(0).as_uuid()), key, holder, note: None, ttl }
    }

    /// Says what it is held for.
    #[must_use]
    pub fn with_note(mut self, note: LeaseNote) -> Self {
        self.note = Some(note);
        self
    }
}

/// More time for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenewRequest {
    /// The lease.
    pub key: LeaseKey,
    /// The epoch of its grant.
    pub epoch: Epoch,
    /// How long it lasts from now on.
    pub ttl: Duration,
}

impl RenewRequest {
    /// A renewal.
    pub fn new(key: LeaseKey, epoch: Epoch, ttl: Duration) -> Self {
        Self { key, epoch, ttl }
    }
}

/// The end of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReleaseRequest {
    /// The lease.
    pub key: LeaseKey,
    /// The epoch of its grant.
    pub epoch: Epoch,
}

impl ReleaseRequest {
    /// A release.
    pub fn new(key: LeaseKey, epoch: Epoch) -> Self {
        Self { key, epoch }
    }
}

/// A lease that was granted or renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// To be shown with every write that the lease protects.
    pub epoch: Epoch,
    /// How long it lasts, reckoned from no earlier than the request was made.
    pub remaining: Duration,
}

impl Grant {
    /// A grant.
    pub fn new(epoch: Epoch, remaining: Duration) -> Self {
        Self { epoch, remaining }
    }
}

/// What a store knows of a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseInfo {
    /// Of the last grant; the default where there was none.
    pub epoch: Epoch,
    /// Who holds it, if anybody.
    pub holding: Option<Holding>,
}

impl LeaseInfo {
    /// A lease of this epoch.
    pub fn new(epoch: Epoch, holding: Option<Holding>) -> Self {
        Self { epoch, holding }
    }
}

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holding {
    /// Its name.
    pub holder: LeaseHolder,
    /// What it holds the lease for.
    pub note: Option<LeaseNote>,
    /// When it was granted, by the store's clock: microseconds since the Unix epoch.
    pub since_unix_micros: u64,
    /// How long it lasts unless it is renewed.
    pub remaining: Duration,
}

impl Holding {
    /// A holder without a note.
    pub fn new(holder: LeaseHolder, since_unix_micros: u64, remaining: Duration) -> Self {
        Self { holder, note: None, since_unix_micros, remaining }
    }

    /// Adds what it holds the lease for.
    #[must_use]
    pub fn with_note(mut self, note: Option<LeaseNote>) -> Self {
        self.note = note;
        self
    }
}
