use std::collections::{BTreeMap, HashMap};

use agentscale_core::budget::{Amount, Balance, BudgetId};

/// What became of each budget, by when its period ends.
#[derive(Debug, Default)]
pub(super) struct Balances {
    /// Those of budgets that never begin anew stand at the greatest number.
    by_end: BTreeMap<u64, HashMap<BudgetId, Balance>>,
}

impl Balances {
    pub(super) fn of(&self, budget: &BudgetId) -> Balance {
        let found = self.by_end.get(&end_of(budget)).and_then(|balances| balances.get(budget));
        found.copied().unwrap_or_default()
    }

    pub(super) fn entry(&mut self, budget: &BudgetId) -> &mut Balance {
        self.by_end.entry(end_of(budget)).or_default().entry(budget.clone()).or_default()
    }

    /// Forgets the budgets whose periods are long over and of which nothing is set aside, and names them.
    pub(super) fn forget_old(&mut self, now: u64) -> Vec<BudgetId> {
        let kept_for = u64::try_from(BudgetId::KEPT_FOR.as_micros()).unwrap_or(u64::MAX);
        let mut forgotten = Vec::new();
        for (_, balances) in self.by_end.range_mut(..now.saturating_sub(kept_for)) {
            let old = balances.extract_if(|_, balance| balance.reserved == Amount::ZERO);
            forgotten.extend(old.map(|(budget, _)| budget));
        }
        if !forgotten.is_empty() {
            self.by_end.retain(|_, balances| !balances.is_empty());
        }
        forgotten
    }
}

fn end_of(budget: &BudgetId) -> u64 {
    budget.end().unwrap_or(u64::MAX)
}
