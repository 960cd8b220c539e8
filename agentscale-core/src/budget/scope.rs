use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Day;
use super::day::MICROS_A_DAY;
use crate::{Account, Tenant};

/// Whose spending a budget limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BudgetScope {
    /// The tenant; `None` for all calls that name none.
    pub tenant: Option<Tenant>,
    /// One of its accounts; `None` for all of them together.
    pub account: Option<Account>,
    /// One model; `None` for all of them together.
    pub model: Option<String>,
}

impl BudgetScope {
    /// All that a tenant spends, or that calls without a tenant do.
    pub fn new(tenant: Option<Tenant>) -> Self {
        Self { tenant, account: None, model: None }
    }

    /// Only what one account spends.
    #[must_use]
    pub fn with_account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// Only what is spent on one model.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}

impl fmt::Display for BudgetScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tenant.as_ref().map_or("no tenant", Tenant::as_str))?;
        if let Some(account) = &self.account {
            write!(f, ", account {account}")?;
        }
        if let Some(model) = &self.model {
            write!(f, ", model {}", model.escape_debug())?;
        }
        Ok(())
    }
}

/// The time in which a budget can be spent once. Days and months begin in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BudgetPeriod {
    /// A day.
    Day,
    /// A calendar month.
    Month,
    /// For good: it never begins anew.
    Forever,
}

impl BudgetPeriod {
    /// When the period around `unix_micros` began.
    pub fn start(self, unix_micros: u64) -> u64 {
        match self {
            Self::Day => Day::of(unix_micros).start(),
            Self::Month => Day::of(unix_micros).month_start().start(),
            Self::Forever => 0,
        }
    }

    /// When the next one begins; `None` for one that never ends.
    pub fn end(self, unix_micros: u64) -> Option<u64> {
        match self {
            Self::Day => Some(Day::of(unix_micros).start() + MICROS_A_DAY),
            Self::Month => Some(Day::of(unix_micros).next_month().start()),
            Self::Forever => None,
        }
    }

    /// The name used in errors, files and metrics: `day`, `month`, `forever`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Forever => "forever",
        }
    }
}

impl fmt::Display for BudgetPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names one budget in one of its periods.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BudgetId {
    /// Whose spending it limits.
    pub scope: BudgetScope,
    /// Its kind of period.
    pub period: BudgetPeriod,
    /// When this period began: microseconds since the Unix epoch.
    pub start: u64,
}

impl BudgetId {
    /// How long a ledger keeps a budget behind the end of its period, at the least: 35 days.
    pub const KEPT_FOR: Duration = Duration::from_secs(35 * 86_400);

    /// The budget of `scope` in the period around `unix_micros`.
    pub fn at(scope: BudgetScope, period: BudgetPeriod, unix_micros: u64) -> Self {
        Self { scope, period, start: period.start(unix_micros) }
    }

    /// When it begins anew; `None` for one that never does.
    pub fn end(&self) -> Option<u64> {
        self.period.end(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_and_end_in_utc() {
        let noon = 1_795_262_400_000_000; // 2026-11-21T12:00:00Z
        let names = |moment: u64| Day::of(moment).to_string();
        assert_eq!(names(BudgetPeriod::Day.start(noon)), "2026-11-21");
        assert_eq!(names(BudgetPeriod::Day.end(noon).unwrap()), "2026-11-22");
        assert_eq!(names(BudgetPeriod::Month.start(noon)), "2026-11-01");
        assert_eq!(names(BudgetPeriod::Month.end(noon).unwrap()), "2026-12-01");
        assert_eq!((BudgetPeriod::Forever.start(noon), BudgetPeriod::Forever.end(noon)), (0, None));
        let id = BudgetId::at(BudgetScope::new(None), BudgetPeriod::Month, noon);
        assert_eq!(names(id.end().unwrap()), "2026-12-01");
    }
}
