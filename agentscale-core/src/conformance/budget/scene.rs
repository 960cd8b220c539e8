use std::sync::Arc;
use std::time::Duration;

use super::BudgetLedgerHarness;
use crate::budget::{
    Amount, Balance, BudgetId, BudgetLimit, BudgetPeriod, BudgetScope, Exchange, Grant, GrantLine,
    JoinRequest, LeaveRequest, Money,
};
use crate::checkpoint::Epoch;
use crate::{Account, BudgetLedger, Result, Tenant};

/// 2099-11-21T12:00:00Z: no ledger forgets its budgets yet, whatever its own clock says.
pub(super) const NOON: u64 = 4_098_945_600_000_000;
pub(super) const LEASE: Duration = Duration::from_secs(15);

pub(super) async fn ledger(harness: &dyn BudgetLedgerHarness) -> Arc<dyn BudgetLedger> {
    harness.start().await
}

pub(super) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("names of the suite are valid")
}

pub(super) fn account(name: &str) -> Account {
    Account::new(name).expect("names of the suite are valid")
}

pub(super) fn scope(name: &str) -> BudgetScope {
    BudgetScope::new(Some(tenant(name)))
}

/// The budget of a tenant for this day.
pub(super) fn daily(name: &str) -> BudgetId {
    BudgetId::at(scope(name), BudgetPeriod::Day, NOON)
}

pub(super) fn tokens(tokens: u64) -> Amount {
    Amount::new(tokens, Money::ZERO)
}

/// A line of tokens alone.
pub(super) fn line(budget: &BudgetId, limit: u64, spent: u64, least: u64, most: u64) -> GrantLine {
    GrantLine {
        budget: budget.clone(),
        limit: BudgetLimit::of_tokens(limit),
        spent: tokens(spent),
        least: tokens(least),
        most: tokens(most),
    }
}

/// One holder of grants, as a gateway would be.
pub(super) struct Spender {
    pub(super) ledger: Arc<dyn BudgetLedger>,
    pub(super) epoch: Epoch,
    pub(super) sequence: u64,
    pub(super) now: u64,
}

impl Spender {
    pub(super) async fn join(ledger: &Arc<dyn BudgetLedger>) -> Self {
        Self::join_at(ledger, NOON).await
    }

    pub(super) async fn join_at(ledger: &Arc<dyn BudgetLedger>, now: u64) -> Self {
        let holder = ledger.join(JoinRequest::new(now, LEASE)).await.expect("a holder joins");
        Self { ledger: Arc::clone(ledger), epoch: holder.epoch, sequence: 0, now }
    }

    pub(super) fn next(&mut self, lines: Vec<GrantLine>) -> Exchange {
        self.sequence += 1;
        Exchange::new(self.epoch, self.sequence, self.now, LEASE).with_lines(lines)
    }

    pub(super) async fn try_exchange(&mut self, lines: Vec<GrantLine>) -> Result<Vec<Grant>> {
        let exchange = self.next(lines);
        Ok(self.ledger.exchange(exchange).await?.grants)
    }

    /// Exchanges one line and gives what it has then.
    pub(super) async fn exchange(&mut self, line: GrantLine) -> Grant {
        self.try_exchange(vec![line]).await.expect("the ledger exchanges")[0]
    }

    pub(super) async fn leave(&self) -> Result<()> {
        self.ledger.leave(LeaveRequest::new(self.epoch, self.now)).await
    }
}

pub(super) async fn balance(ledger: &Arc<dyn BudgetLedger>, budget: &BudgetId, now: u64) -> Balance {
    ledger.balances(std::slice::from_ref(budget), now).await.expect("the ledger is read")[0]
}

pub(super) fn balance_of(spent: u64, reserved: u64, forfeited: u64) -> Balance {
    Balance { spent: tokens(spent), reserved: tokens(reserved), forfeited: tokens(forfeited) }
}

pub(super) fn later(time: Duration) -> u64 {
    NOON + u64::try_from(time.as_micros()).expect("times of the suite are short")
}
