//! Slots: how many runs of an account are under way at once, over all instances together.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Result;
pub use crate::checkpoint::Epoch;

mod config;
mod handle;
mod keeper;
mod line;
mod request;
mod slot;
mod tiers;

pub use config::SlotConfig;
pub use handle::{AccountSlots, SlotRequest};
pub use request::{
    JoinRequest, LeaveRequest, SlotExchange, SlotGrant, SlotKey, SlotLine, SlotMember, SlotsExchanged,
    TURN_KEPT_FOR, fenced,
};
pub use slot::Slot;
pub use tiers::Tiers;

/// Counts the slots of accounts for all instances that share it.
///
/// An instance **joins** as a member and gets an [`Epoch`] of its own. By **exchanges** it says of any number of accounts how
/// many slots it uses and how many it would have, and is told how many it has. All members together never have more of an
/// account than the limit that an exchange names; under a lower one those that are in use stay, and no more are given until
/// they are fewer.
///
/// A member lasts as long as its lease, which each exchange renews. Behind it, its slots are free: an instance that dies
/// keeps nothing. Time is that of the store, whatever the members' clocks say.
///
/// Where several members wait for one account, slots go to them in turns: who has got one stands behind the others. A member
/// that waits and is not heard of for [`TURN_KEPT_FOR`] loses its turn for as long.
///
/// # For callers
/// [`AccountSlots`] speaks with a store; use it rather than the operations here. An exchange says what is so, not what has
/// changed: one whose answer was lost is followed by another one under a higher sequence number. A member that was frozen
/// does not know that its lease ended: its runs may go on beside those that took their slots until it looks at its
/// [`Slot`]s, so what they write is fenced by its own epochs.
///
/// # For implementors
/// Each operation is atomic. A member whose lease has ended by the store's clock is dissolved by the next exchange or join of any
/// other, at the latest by the one behind it. Whether slots survive a loss of power is all the same where no member does. The promises
/// are the named tests of the conformance suite (feature `conformance`).
///
/// # Cancel safety
/// A dropped future leaves the operation done or not done, never half done.
#[async_trait]
pub trait SlotStore: Debug + Send + Sync + 'static {
    /// Makes a member, whose epoch no other one had or will have.
    ///
    /// # Errors
    /// `invalid_input` as [`check_ttl`](crate::lease::check_ttl) says.
    async fn join(&self, request: JoinRequest) -> Result<SlotMember>;

    /// Takes and gives back slots, and renews the lease. The answer has a grant for each line, in their order.
    ///
    /// # Errors
    /// `fenced` for a member that never joined, has left, or whose lease has ended; `conflict` for a sequence number that is
    /// not above the last one; `invalid_input` for a line that uses more than it wants, or names an account twice. Nothing
    /// has changed then.
    async fn exchange(&self, exchange: SlotExchange) -> Result<SlotsExchanged>;

    /// Gives back all slots of a member, which is no more.
    ///
    /// # Errors
    /// `fenced` for a member that is none, or not any more.
    async fn leave(&self, request: LeaveRequest) -> Result<()>;

    /// How many slots of each of these accounts are held by anyone, in their order.
    async fn held(&self, keys: &[SlotKey]) -> Result<Vec<u32>>;
}

macro_rules! forward {
    ($($pointer:ident)*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: SlotStore + ?Sized> SlotStore for $pointer<T> {
            async fn join(&self, request: JoinRequest) -> Result<SlotMember> {
                (**self).join(request).await
            }
            async fn exchange(&self, exchange: SlotExchange) -> Result<SlotsExchanged> {
                (**self).exchange(exchange).await
            }
            async fn leave(&self, request: LeaveRequest) -> Result<()> {
                (**self).leave(request).await
            }
            async fn held(&self, keys: &[SlotKey]) -> Result<Vec<u32>> {
                (**self).held(keys).await
            }
        }
    )*};
}

forward!(Arc Box);
