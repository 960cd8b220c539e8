use std::collections::BTreeMap;

use agentscale_core::budget::{BudgetLimit, BudgetPeriod};
use agentscale_core::{Account, Tenant};
use serde::Deserialize;

use crate::gateway::Budget;
use crate::prices::{LongInput, ModelPrice, Price, PriceTable};

/// How much may be spent, by whom and in which time.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BudgetRule {
    /// The time in which it can be spent once: `day`, `month` or `forever`.
    pub period: BudgetPeriod,
    /// How much: `tokens`, `money` in dollars as `"12.50"`, or both.
    pub limit: BudgetLimit,
    /// The tenant; each by itself, and calls that name none as one more.
    #[serde(default)]
    pub tenant: Option<Tenant>,
    /// Whether it is for the calls that name no tenant, and no others; `false`.
    #[serde(default)]
    pub no_tenant: bool,
    /// The account whose spending counts; all accounts of the tenant together.
    #[serde(default)]
    pub account: Option<Account>,
    /// Whether each account has one by itself; `false`.
    #[serde(default)]
    pub each_account: bool,
    /// The model, by its name in the gateway, whose use counts; all models together.
    #[serde(default)]
    pub model: Option<String>,
    /// Whether each model has one by itself; `false`.
    #[serde(default)]
    pub each_model: bool,
}

/// What models cost.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PricesConfig {
    /// Whether models have the list prices that this version knows, unless they have others here; `true`.
    pub built_in: bool,
    /// The price of models that are not known; none.
    pub default: Option<PriceConfig>,
    /// Prices by models' names, with or without a version, as `pool/model` for one pool; none.
    pub models: BTreeMap<String, PriceConfig>,
}

/// What one model costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PriceConfig {
    /// Prices of a million tokens, in dollars as `"0.075"`.
    pub price: Price,
    /// Prices of calls with long input; the same.
    #[serde(default)]
    pub above: Option<LongInput>,
}

impl Default for PricesConfig {
    fn default() -> Self {
        Self { built_in: true, default: None, models: BTreeMap::new() }
    }
}

impl BudgetRule {
    /// What contradicts itself.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        match self {
            Self { tenant: Some(_), no_tenant: true, .. } => Some("no_tenant"),
            Self { account: Some(_), each_account: true, .. } => Some("each_account"),
            Self { model: Some(_), each_model: true, .. } => Some("each_model"),
            Self { limit: BudgetLimit { tokens: None, money: None, .. }, .. } => Some("limit"),
            _ => None,
        }
    }

    pub(super) fn budget(&self) -> Budget {
        let (period, limit) = (self.period, self.limit);
        let budget = match &self.tenant {
            Some(tenant) => Budget::for_tenant(tenant.clone(), period, limit),
            None if self.no_tenant => Budget::for_no_tenant(period, limit),
            None => Budget::for_each_tenant(period, limit),
        };
        let budget = match &self.account {
            Some(account) => budget.for_account(account.clone()),
            None if self.each_account => budget.for_each_account(),
            None => budget,
        };
        match &self.model {
            Some(model) => budget.for_model(model),
            None if self.each_model => budget.for_each_model(),
            None => budget,
        }
    }
}

impl PricesConfig {
    pub(super) fn table(&self) -> PriceTable {
        let table = if self.built_in { PriceTable::built_in() } else { PriceTable::new() };
        let models = self.models.iter();
        let table = models.fold(table, |table, (model, price)| table.with(model, price.model_price()));
        match self.default {
            Some(price) => table.with_default(price.model_price()),
            None => table,
        }
    }
}

impl PriceConfig {
    fn model_price(self) -> ModelPrice {
        let price = ModelPrice::new(self.price);
        self.above.map_or(price, |above| price.with_long_input(above))
    }
}
