//! Budgets of tokens and money, kept in a ledger and spent through grants.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Result;

mod amount;
mod balance;
mod day;
mod exchange;
mod money;
mod scope;
mod usage;

pub use amount::{Amount, BudgetLimit};
pub use balance::{Balance, Held};
pub use day::Day;
pub use exchange::{Exchange, Exchanged, Grant, GrantLine, Holder, JoinRequest, LeaveRequest};
pub use money::Money;
pub use scope::{BudgetId, BudgetPeriod, BudgetScope};
pub use usage::{UsageCounts, UsageQuery, UsageRecord};

use crate::checkpoint::Durability;

/// What a [`BudgetLedger`] can do beyond its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LedgerCapabilities {
    /// What an answered exchange has survived.
    pub durability: Durability,
    /// Whether several processes may share the ledger.
    pub multi_process: bool,
}

impl LedgerCapabilities {
    /// A ledger whose answers have survived what `durability` says.
    pub fn new(durability: Durability, multi_process: bool) -> Self {
        Self { durability, multi_process }
    }
}

/// Keeps what was spent of budgets, and what is set aside to be spent.
///
/// Who spends **joins** as a holder and gets an [`Epoch`](crate::checkpoint::Epoch) of its own. By **exchanges** it tells what it has spent in
/// all and gets **grants**: parts of budgets that are set aside for it alone, before anything of them is spent. It spends
/// them without asking again. A batch every few seconds settles and tops up.
///
/// The grants of a holder last as long as its lease, which each exchange renews. The rest of the grants of a holder that was
/// not heard of is **forfeited**: it counts as spent, for nobody knows whether it was. So a crash costs what was set aside and a budget is never
/// overspent, whatever clocks do. Who leaves in order gives the rest back. So does whoever knows what a dead holder spent, from a
/// journal that it kept: with its epoch and a higher sequence number it settles and leaves in its stead, while the lease lasts.
///
/// Requests say what time it is. A ledger in this process or on this machine goes by that; one on a server goes by the server's clock,
/// so that no caller whose clock is wrong ends the leases of others.
///
/// A limit is no part of the ledger: each exchange names it, and nothing is granted that would bring what is spent and set
/// aside above it.
///
/// # For callers
/// An exchange whose answer was lost is sent again as it was, under the same sequence number. One that is `fenced` has changed
/// nothing: the holder joins anew, counts from zero, and brings the usage that it could not record with its next exchange.
///
/// # For implementors
/// Each operation is atomic and durable before it is answered. [`Balance`] has the arithmetic; a sum that does not fit in 63 bits stays
/// at the largest, so that it stops its own budget and no other. A holder whose lease has ended by the time of an operation is
/// dissolved for it: what it held counts as spent, and it is fenced. The promises are the named tests of the conformance suite
/// (feature `conformance`).
///
/// # Cancel safety
/// A dropped future leaves the operation done or not done, never half done.
#[async_trait]
pub trait BudgetLedger: Debug + Send + Sync + 'static {
    /// What this ledger can do.
    fn capabilities(&self) -> LedgerCapabilities;

    /// Makes a holder, whose epoch no other holder had or will have.
    async fn join(&self, request: JoinRequest) -> Result<Holder>;

    /// Settles, tops up and gives back, records usage, and renews the lease.
    ///
    /// The answer has a grant for each line, in their order.
    ///
    /// # Errors
    /// `fenced` for a holder that never joined, has left, or whose lease has ended; `conflict` for a sequence number below the
    /// last one; `invalid_input` for a line that needs more than it wants, or names a budget twice. Nothing has changed then.
    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged>;

    /// Gives back all that is set aside for a holder and was not spent; the holder is no more.
    ///
    /// # Errors
    /// `fenced` for a holder that is none, or not any more.
    async fn leave(&self, request: LeaveRequest) -> Result<()>;

    /// What is spent and set aside of each of these budgets, in their order; zero for one that was never named. `now` is as in requests.
    async fn balances(&self, budgets: &[BudgetId], now: u64) -> Result<Vec<Balance>>;

    /// What one account has used, by day and model.
    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRecord>>;
}

macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: BudgetLedger + ?Sized> BudgetLedger for $pointer<T> {
            fn capabilities(&self) -> LedgerCapabilities {
                (**self).capabilities()
            }
            async fn join(&self, request: JoinRequest) -> Result<Holder> {
                (**self).join(request).await
            }
            async fn exchange(&self, exchange: Exchange) -> Result<Exchanged> {
                (**self).exchange(exchange).await
            }
            async fn leave(&self, request: LeaveRequest) -> Result<()> {
                (**self).leave(request).await
            }
            async fn balances(&self, budgets: &[BudgetId], now: u64) -> Result<Vec<Balance>> {
                (**self).balances(budgets, now).await
            }
            async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRecord>> {
                (**self).usage(query).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
