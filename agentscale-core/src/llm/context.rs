use crate::{Account, Deadline, Priority, Tenant};

/// For whom a call is made and how it matters: what a gateway counts, queues and charges by.
///
/// A turn fills it in for its calls, where the agent has not done so. It goes to no provider and is not stored with
/// the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallContext {
    /// Whose work it is.
    pub tenant: Option<Tenant>,
    /// Who pays, within the tenant.
    pub account: Option<Account>,
    /// What goes first when there is not room for all.
    pub priority: Priority,
    /// When the answer is of no more use: microseconds since the Unix epoch.
    pub deadline: Option<Deadline>,
    /// Calls of one session share a beginning of their prompts, and go to where a provider has cached it.
    pub session: Option<String>,
    /// Whether an answer that was given before will not do: a cache asks the provider, and keeps what it says.
    pub fresh: bool,
}

impl CallContext {
    /// Nobody's call, of the priority of a conversation.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets whose work it is.
    #[must_use]
    pub fn with_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Sets who pays.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// Sets what goes first.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets when the answer is of no more use.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets whose prompts begin alike.
    #[must_use]
    pub fn with_session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Wants no answer that was given before.
    #[must_use]
    pub fn with_fresh_answer(mut self) -> Self {
        self.fresh = true;
        self
    }
}
