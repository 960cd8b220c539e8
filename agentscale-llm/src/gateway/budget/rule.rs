use std::collections::HashSet;

use agentscale_core::budget::{BudgetLimit, BudgetPeriod, BudgetScope};
use agentscale_core::{Account, Error, ErrorKind, Result, Tenant};

use crate::gateway::builder::OPERATION;

/// A limit of what is spent through a gateway in a period, by whom it is spent.
///
/// Budgets of different kinds hold beside each other: a tenant's, one of its accounts', one of a model, by the day, by the month. Of
/// those of one kind and period the most special one holds: a tenant's own in the place of that for each tenant.
///
/// Calls that name no tenant count together as one more tenant, which [`Budget::for_no_tenant`] and [`Budget::for_each_tenant`] limit.
///
/// ```
/// use agentscale_core::Tenant;
/// use agentscale_core::budget::{BudgetLimit, BudgetPeriod, Money};
/// use agentscale_llm::gateway::Budget;
///
/// let ten_a_day = BudgetLimit::of_money(Money::from_dollars(10));
/// let each = Budget::for_each_tenant(BudgetPeriod::Day, ten_a_day);
/// let acme = Budget::for_tenant(Tenant::new("acme")?, BudgetPeriod::Day, ten_a_day.with_tokens(2_000_000));
/// let heavy = Budget::for_each_tenant(BudgetPeriod::Month, ten_a_day).for_model("large");
/// # let _ = (each, acme, heavy);
/// # Ok::<(), agentscale_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    tenant: Of<Option<Tenant>>,
    account: Of<Account>,
    model: Of<String>,
    period: BudgetPeriod,
    limit: BudgetLimit,
}

/// Whom one level of a budget is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Of<T> {
    /// All of them together.
    All,
    /// Each by itself.
    Each,
    One(T),
}

impl<T: PartialEq> Of<T> {
    fn holds(&self, one: Option<&T>) -> bool {
        match (self, one) {
            (Self::All, _) | (Self::Each, Some(_)) => true,
            (Self::One(mine), Some(one)) => mine == one,
            (Self::Each | Self::One(_), None) => false,
        }
    }

    fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    fn is_special(&self) -> bool {
        matches!(self, Self::One(_))
    }
}

impl Budget {
    /// For each tenant by itself.
    pub fn for_each_tenant(period: BudgetPeriod, limit: BudgetLimit) -> Self {
        Self::of(Of::Each, period, limit)
    }

    /// For one tenant.
    pub fn for_tenant(tenant: Tenant, period: BudgetPeriod, limit: BudgetLimit) -> Self {
        Self::of(Of::One(Some(tenant)), period, limit)
    }

    /// For all calls that name no tenant.
    pub fn for_no_tenant(period: BudgetPeriod, limit: BudgetLimit) -> Self {
        Self::of(Of::One(None), period, limit)
    }

    fn of(tenant: Of<Option<Tenant>>, period: BudgetPeriod, limit: BudgetLimit) -> Self {
        Self { tenant, account: Of::All, model: Of::All, period, limit }
    }

    /// Only what one account of the tenant spends.
    #[must_use]
    pub fn for_account(mut self, account: Account) -> Self {
        self.account = Of::One(account);
        self
    }

    /// For each account of the tenant by itself; calls that name no account are in none of these.
    #[must_use]
    pub fn for_each_account(mut self) -> Self {
        self.account = Of::Each;
        self
    }

    /// Only what is spent on one model, by its name in the gateway.
    #[must_use]
    pub fn for_model(mut self, model: impl Into<String>) -> Self {
        self.model = Of::One(model.into());
        self
    }

    /// For each model by itself.
    #[must_use]
    pub fn for_each_model(mut self) -> Self {
        self.model = Of::Each;
        self
    }

    /// Budgets of one kind are about the same scopes.
    fn kind(&self) -> (bool, bool, BudgetPeriod) {
        (self.account.is_all(), self.model.is_all(), self.period)
    }

    fn is_special(&self) -> (bool, bool, bool) {
        (self.tenant.is_special(), self.account.is_special(), self.model.is_special())
    }

    fn holds(&self, tenant: &Option<Tenant>, account: Option<&Account>, model: &String) -> bool {
        self.tenant.holds(Some(tenant)) && self.account.holds(account) && self.model.holds(Some(model))
    }
}

/// The budgets of a gateway, the most special first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(Vec<Budget>);

/// What one of the budgets that hold for a call limits.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) scope: BudgetScope,
    pub(crate) period: BudgetPeriod,
    pub(crate) limit: BudgetLimit,
}

impl Rules {
    pub(crate) fn new(mut budgets: Vec<Budget>) -> Result<Self> {
        let mut seen = HashSet::new();
        for budget in &budgets {
            if !seen.insert((&budget.tenant, &budget.account, &budget.model, budget.period)) {
                return Err(Error::new(ErrorKind::InvalidInput, OPERATION)
                    .with_context("budget", format_args!("{budget:?}"))
                    .with_context("reason", "stands twice"));
            }
        }
        budgets.sort_by_key(|budget| std::cmp::Reverse(budget.is_special()));
        Ok(Self(budgets))
    }

    /// Those that hold for a call, the narrowest first, so that one which is used up takes nothing of the wider ones.
    pub(crate) fn of(&self, tenant: &Option<Tenant>, account: Option<&Account>, model: &String) -> Vec<Rule> {
        let mut kinds = HashSet::new();
        let holding = self.0.iter().filter(|budget| budget.holds(tenant, account, model));
        let mut rules: Vec<_> = holding
            .filter(|budget| kinds.insert(budget.kind()))
            .map(|budget| {
                let mut scope = BudgetScope::new(tenant.clone());
                scope.account = account.filter(|_| !budget.account.is_all()).cloned();
                scope.model = Some(model.clone()).filter(|_| !budget.model.is_all());
                Rule { scope, period: budget.period, limit: budget.limit }
            })
            .collect();
        rules.sort_by_key(|rule| (rule.scope.account.is_none(), rule.scope.model.is_none(), rule.period));
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    fn tokens(rules: &Rules, owner: Option<&str>, payer: Option<&str>, model: &str) -> Vec<u64> {
        let payer = payer.map(|name| Account::new(name).unwrap());
        let found = rules.of(&owner.map(tenant), payer.as_ref(), &model.to_owned());
        found.iter().filter_map(|rule| rule.limit.tokens).collect()
    }

    #[test]
    fn of_each_kind_the_most_special_budget_holds_and_the_narrowest_comes_first() {
        let (day, month) = (BudgetPeriod::Day, BudgetPeriod::Month);
        let limit = BudgetLimit::of_tokens;
        let alice = Account::new("alice").unwrap();
        let rules = Rules::new(vec![
            Budget::for_each_tenant(day, limit(1)),
            Budget::for_tenant(tenant("acme"), day, limit(2)),
            Budget::for_each_tenant(month, limit(3)),
            Budget::for_each_tenant(day, limit(4)).for_each_account(),
            Budget::for_tenant(tenant("acme"), day, limit(5)).for_account(alice),
            Budget::for_each_tenant(day, limit(6)).for_model("large"),
            Budget::for_no_tenant(day, limit(7)),
            Budget::for_tenant(tenant("acme"), day, limit(8)).for_each_account().for_each_model(),
        ])
        .unwrap();
        assert_eq!(tokens(&rules, Some("other"), None, "small"), [1, 3]);
        assert_eq!(tokens(&rules, Some("acme"), None, "small"), [2, 3]);
        assert_eq!(tokens(&rules, Some("acme"), Some("bob"), "small"), [8, 4, 2, 3]);
        assert_eq!(tokens(&rules, Some("acme"), Some("alice"), "large"), [8, 5, 6, 2, 3]);
        assert_eq!(tokens(&rules, None, None, "large"), [6, 7, 3]);
        assert_eq!(tokens(&Rules::default(), None, None, "large"), [0; 0]);
    }

    #[test]
    fn a_budget_that_stands_twice_is_refused() {
        let each = |limit| Budget::for_each_tenant(BudgetPeriod::Day, BudgetLimit::of_tokens(limit));
        assert_eq!(Rules::new(vec![each(1), each(2)]).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(Rules::new(vec![each(1), each(1).for_each_model()]).is_ok());
    }
}
