use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use agentscale_core::budget::{Amount, Day, Money, UsageCounts, UsageRecord};
use agentscale_core::llm::Usage;
use agentscale_core::{Account, Tenant};

use super::purse::Purse;

/// For whom and of which model calls are made: which budgets they spend, and what they used in one day.
#[derive(Debug)]
pub(crate) struct Payer {
    pub(crate) tenant: Option<Tenant>,
    pub(crate) account: Option<Account>,
    pub(crate) model: String,
    /// The narrowest first.
    pub(crate) purses: Box<[Arc<Purse>]>,
    /// The wall time in which it holds: behind it other budgets or another day begin.
    pub(crate) from: u64,
    pub(crate) until: u64,
    used: Used,
    called: AtomicBool,
}

/// What was used and not told to the ledger yet.
#[derive(Debug, Default)]
struct Used {
    calls: AtomicU64,
    input: AtomicU64,
    cached: AtomicU64,
    cache_write: AtomicU64,
    output: AtomicU64,
    reasoning: AtomicU64,
    cost: AtomicU64,
    cut_calls: AtomicU64,
    cut_tokens: AtomicU64,
    cut_cost: AtomicU64,
    unpriced: AtomicU64,
}

impl Payer {
    pub(crate) fn new(
        (tenant, account, model): (Option<Tenant>, Option<Account>, String),
        purses: Box<[Arc<Purse>]>,
        now: u64,
    ) -> Self {
        let day = Day::of(now);
        let ends = purses.iter().filter_map(|purse| purse.id.end());
        let until = ends.fold(Day(day.0.saturating_add(1)).start(), u64::min);
        let (used, called) = (Used::default(), AtomicBool::new(true));
        Self { tenant, account, model, purses, from: day.start(), until, used, called }
    }

    pub(crate) fn is_of(&self, tenant: Option<&Tenant>, account: Option<&Account>, model: &str) -> bool {
        self.tenant.as_ref() == tenant && self.account.as_ref() == account && self.model == model
    }

    pub(crate) fn holds_at(&self, unix_micros: u64) -> bool {
        (self.from..self.until).contains(&unix_micros)
    }

    /// Whether one of its budgets limits money.
    pub(crate) fn must_know_prices(&self) -> bool {
        self.purses.iter().any(|purse| purse.limit().money.is_some())
    }

    /// Takes `amount` of each budget, or names the first that has no room.
    pub(crate) fn take(&self, amount: Amount) -> Result<(), &Arc<Purse>> {
        self.called.store(true, Ordering::Relaxed);
        for (place, purse) in self.purses.iter().enumerate() {
            if !purse.take(amount) {
                self.purses[..place].iter().for_each(|purse| purse.give_back(amount));
                return Err(purse);
            }
        }
        Ok(())
    }

    pub(crate) fn give_back(&self, taken: Amount) {
        self.purses.iter().for_each(|purse| purse.give_back(taken));
    }

    /// A call ended and used so much, of this price.
    pub(crate) fn settle(&self, taken: Amount, usage: Usage, cost: Option<Money>) {
        let tokens = usage.input_tokens.saturating_add(usage.output_tokens);
        let used = Amount::new(tokens, cost.unwrap_or_default());
        self.purses.iter().for_each(|purse| purse.settle(taken, used));
        let counts = &self.used;
        for (counter, amount) in [
            (&counts.calls, 1),
            (&counts.input, usage.input_tokens),
            (&counts.cached, usage.cached_input_tokens),
            (&counts.cache_write, usage.cache_write_input_tokens),
            (&counts.output, usage.output_tokens),
            (&counts.reasoning, usage.reasoning_tokens),
            (&counts.cost, used.money.as_nanos()),
            (&counts.unpriced, u64::from(cost.is_none())),
        ] {
            add(counter, amount);
        }
    }

    /// A call was cut: it is charged the most that it can have used.
    pub(crate) fn settle_cut(&self, taken: Amount, charged: Amount, has_price: bool) {
        self.purses.iter().for_each(|purse| purse.settle(taken, charged));
        let counts = &self.used;
        for (counter, amount) in [
            (&counts.cut_calls, 1),
            (&counts.cut_tokens, charged.tokens),
            (&counts.cut_cost, charged.money.as_nanos()),
            (&counts.unpriced, u64::from(!has_price)),
        ] {
            add(counter, amount);
        }
    }

    /// Whether it was called since this was last asked.
    pub(crate) fn was_called(&self) -> bool {
        self.called.swap(false, Ordering::Relaxed)
    }

    /// Takes out what is to be told to the ledger.
    pub(crate) fn usage(&self) -> Option<UsageRecord> {
        let used = &self.used;
        let mut counts = UsageCounts::default();
        for (counter, count) in [
            (&used.calls, &mut counts.calls),
            (&used.input, &mut counts.input_tokens),
            (&used.cached, &mut counts.cached_input_tokens),
            (&used.cache_write, &mut counts.cache_write_input_tokens),
            (&used.output, &mut counts.output_tokens),
            (&used.reasoning, &mut counts.reasoning_tokens),
            (&used.cut_calls, &mut counts.cut_calls),
            (&used.cut_tokens, &mut counts.cut_tokens),
            (&used.unpriced, &mut counts.unpriced_calls),
        ] {
            *count = take(counter);
        }
        counts.cost = Money::from_nanos(take(&used.cost));
        counts.cut_cost = Money::from_nanos(take(&used.cut_cost));
        let record =
            UsageRecord::new(self.tenant.clone(), self.account.clone(), &self.model, Day::of(self.from));
        (counts != UsageCounts::default()).then(|| record.with_counts(counts))
    }
}

fn add(counter: &AtomicU64, amount: u64) {
    if amount > 0 {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

fn take(counter: &AtomicU64) -> u64 {
    // Most counters of most payers are zero, and a reading takes no cache line away from who counts.
    if counter.load(Ordering::Relaxed) == 0 { 0 } else { counter.swap(0, Ordering::Relaxed) }
}
