//! Leases: one holder at a time, as long as it says that it is there.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Result;
pub use crate::checkpoint::Epoch;
pub use crate::ids::{LeaseHolder, LeaseKind, LeaseName, LeaseNote};

mod held;
mod keeper;
mod request;
mod since;
mod standing;

pub use held::{Lease, LeaseWatch};
pub use request::{
    AcquireId, AcquireRequest, Grant, Holding, LeaseInfo, LeaseKey, MAX_TTL, ReleaseRequest, RenewRequest,
    check_ttl,
};
pub use standing::{fenced, refused};

/// Grants leases.
///
/// A **lease** is held by one holder until it releases it or its time runs out. Time is that of the store, whatever the
/// holders' clocks say. Each grant takes a higher [`Epoch`] than all before it of the same key, for ever: release, expiry
/// and a restart of the store do not lower it.
///
/// # For callers
/// The time of a lease gives progress; only its epoch gives safety. A holder that was frozen does not know that its time
/// ran out, so every write that the lease protects carries the epoch, and whoever takes the write refuses one below the
/// highest that it has seen. [`Lease`] renews in time and stops in time; use it rather than the operations here.
///
/// An acquisition whose answer was lost is repeated with the same [`AcquireId`]: the answer is then the one that was lost,
/// with the time that is left. The holder's name tells people who it is; it opens nothing.
///
/// # For implementors
/// Each operation is atomic. A lease ends at the moment that its time is over; what an operation has found ended stays so,
/// though the clock step back. A clock that steps back leaves no lease more than its full time to live once anybody has
/// asked for it. An epoch survives what the store survives, the loss of power where it has a disk. The promises are the
/// named tests of the conformance suite (feature `conformance`); [`refused`] and [`fenced`] make the errors.
///
/// # Cancel safety
/// A dropped future leaves the operation done or not done, never half done. A lease that was granted to nobody who listens
/// ends with its time.
#[async_trait]
pub trait LeaseStore: Debug + Send + Sync + 'static {
    /// Takes a lease that nobody holds.
    ///
    /// # Errors
    /// `conflict` where somebody holds it; it names the `holder`, `since` when, and its `note`, and says after what time it
    /// ends unless it is renewed. `fenced` for an id whose grant has ended. `invalid_input` as [`check_ttl`] says.
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant>;

    /// Gives the holder of a lease its time anew, from now on.
    ///
    /// # Errors
    /// `fenced` where the epoch is not the one that holds it now: it was released, its time ran out, another one took it.
    /// `invalid_input` as [`check_ttl`] says.
    async fn renew(&self, request: RenewRequest) -> Result<Grant>;

    /// Ends a lease before its time. One that has ended already stays so.
    ///
    /// # Errors
    /// `fenced` where a newer epoch was granted.
    async fn release(&self, request: ReleaseRequest) -> Result<()>;

    /// Who holds a lease. By the time that this is answered it may be another one.
    async fn read(&self, key: &LeaseKey) -> Result<LeaseInfo>;
}

macro_rules! forward {
    ($($pointer:ident)*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: LeaseStore + ?Sized> LeaseStore for $pointer<T> {
            async fn acquire(&self, request: AcquireRequest) -> Result<Grant> {
                (**self).acquire(request).await
            }
            async fn renew(&self, request: RenewRequest) -> Result<Grant> {
                (**self).renew(request).await
            }
            async fn release(&self, request: ReleaseRequest) -> Result<()> {
                (**self).release(request).await
            }
            async fn read(&self, key: &LeaseKey) -> Result<LeaseInfo> {
                (**self).read(key).await
            }
        }
    )*};
}

forward!(Arc Box);
