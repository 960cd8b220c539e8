use serde::{Deserialize, Serialize};

use super::{Day, Money};
use crate::{Account, Tenant};

/// What one account used of one model in one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageRecord {
    /// The tenant; `None` for calls that named none.
    pub tenant: Option<Tenant>,
    /// Its account; `None` for calls that named none.
    pub account: Option<Account>,
    /// The model, by the name that it was called by.
    pub model: String,
    /// The day.
    pub day: Day,
    /// How much.
    pub counts: UsageCounts,
}

impl UsageRecord {
    /// Nothing yet, of `model` at `day`.
    pub fn new(tenant: Option<Tenant>, account: Option<Account>, model: impl Into<String>, day: Day) -> Self {
        Self { tenant, account, model: model.into(), day, counts: UsageCounts::default() }
    }

    /// Sets how much.
    #[must_use]
    pub fn with_counts(mut self, counts: UsageCounts) -> Self {
        self.counts = counts;
        self
    }
}

/// Calls, tokens and their price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UsageCounts {
    /// Calls whose usage the provider told.
    pub calls: u64,
    /// Their input, cached tokens included.
    pub input_tokens: u64,
    /// Their input that was read from a provider's prompt cache.
    pub cached_input_tokens: u64,
    /// Their input that was written to a provider's prompt cache.
    pub cache_write_input_tokens: u64,
    /// Their output, reasoning included.
    pub output_tokens: u64,
    /// Their output that the model thought with.
    pub reasoning_tokens: u64,
    /// Their price.
    pub cost: Money,
    /// Calls that were sent and whose usage nobody told: cancelled, broken off, failed at the provider.
    pub cut_calls: u64,
    /// What these were charged: the most that they can have used.
    pub cut_tokens: u64,
    /// The price of that.
    pub cut_cost: Money,
    /// Calls of either kind whose model has no price: no cost counts them.
    pub unpriced_calls: u64,
}

impl UsageCounts {
    /// Adds others, each to its own; what does not fit stays at the largest.
    pub fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.cached_input_tokens = self.cached_input_tokens.saturating_add(other.cached_input_tokens);
        self.cache_write_input_tokens =
            self.cache_write_input_tokens.saturating_add(other.cache_write_input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(other.reasoning_tokens);
        self.cost = self.cost.saturating_add(other.cost);
        self.cut_calls = self.cut_calls.saturating_add(other.cut_calls);
        self.cut_tokens = self.cut_tokens.saturating_add(other.cut_tokens);
        self.cut_cost = self.cut_cost.saturating_add(other.cut_cost);
        self.unpriced_calls = self.unpriced_calls.saturating_add(other.unpriced_calls);
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.calls == 0 && self.cut_calls == 0
    }
}

/// Asks what one account has used. It cannot name another: the host makes it from the principal of who asks.
#[derive(Clone, Debug)]
pub struct UsageQuery {
    tenant: Option<Tenant>,
    account: Option<Account>,
    from: Day,
    until: Day,
    after: Option<(Day, String)>,
    limit: usize,
}

impl UsageQuery {
    /// Records of one answer unless said otherwise.
    pub const DEFAULT_LIMIT: usize = 1_000;

    /// What an account of a tenant used, of all days.
    pub fn of_account(tenant: Tenant, account: Account) -> Self {
        Self::of(Some(tenant), Some(account))
    }

    /// What calls of a tenant used that named no account.
    pub fn of_tenant(tenant: Tenant) -> Self {
        Self::of(Some(tenant), None)
    }

    /// What calls used that named no tenant.
    pub fn of_nobody() -> Self {
        Self::of(None, None)
    }

    fn of(tenant: Option<Tenant>, account: Option<Account>) -> Self {
        let limit = Self::DEFAULT_LIMIT;
        Self { tenant, account, from: Day(0), until: Day(u32::MAX), after: None, limit }
    }

    /// Only days from the first of these to the last.
    #[must_use]
    pub fn between(mut self, from: Day, until: Day) -> Self {
        (self.from, self.until) = (from, until);
        self
    }

    /// Goes on behind the last record of a page.
    #[must_use]
    pub fn after(mut self, record: &UsageRecord) -> Self {
        self.after = Some((record.day, record.model.clone()));
        self
    }

    /// At most so many records, by day and then by model.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Whose usage.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }

    /// Whose usage.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// The first day.
    pub fn from(&self) -> Day {
        self.from
    }

    /// The last day.
    pub fn until(&self) -> Day {
        self.until
    }

    /// Where the page before ended.
    pub fn behind(&self) -> Option<(Day, &str)> {
        self.after.as_ref().map(|(day, model)| (*day, model.as_str()))
    }

    /// How many records at most.
    pub fn limit(&self) -> usize {
        self.limit
    }
}
