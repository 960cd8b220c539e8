use agentscale_core::Result;
use agentscale_core::budget::Amount;
use agentscale_core::llm::{CacheRetention, CallContext};
use agentscale_core::{Account, Tenant};
use tokio::sync::oneshot;

use super::bound::Bound;
use super::hold::Hold;

/// What one call needs of its budgets before each of its attempts.
#[derive(Clone, Debug)]
pub(crate) struct Charge {
    pub(crate) tenant: Option<Tenant>,
    pub(crate) account: Option<Account>,
    pub(crate) bound: Bound,
    pub(crate) retention: CacheRetention,
}

impl Charge {
    pub(crate) fn new(context: &CallContext, bound: Bound, retention: CacheRetention) -> Self {
        let (tenant, account) = (context.tenant.clone(), context.account.clone());
        Self { tenant, account, bound, retention }
    }
}

/// A call that waits for a grant.
#[derive(Debug)]
pub(super) struct Need {
    pub(super) charge: Charge,
    pub(super) model: String,
    pub(super) amount: Amount,
    pub(super) reply: oneshot::Sender<Result<Hold>>,
}
