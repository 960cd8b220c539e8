//! The ledger in memory keeps the promises of its trait, through any pointer.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::budget::{
    Amount, Balance, BudgetId, BudgetLimit, BudgetPeriod, BudgetScope, Exchange, GrantLine, JoinRequest,
    LeaveRequest, Money,
};
use agentscale_core::conformance::budget::BudgetLedgerHarness;
use agentscale_core::{BudgetLedger, Tenant};
use agentscale_llm::budget::InMemoryBudgetLedger;
use async_trait::async_trait;

struct Memory;

#[async_trait]
impl BudgetLedgerHarness for Memory {
    async fn start(&self) -> Arc<dyn BudgetLedger> {
        Arc::new(InMemoryBudgetLedger::new())
    }
}

struct Pointers;

#[async_trait]
impl BudgetLedgerHarness for Pointers {
    async fn start(&self) -> Arc<dyn BudgetLedger> {
        let boxed: Box<dyn BudgetLedger> = Box::new(InMemoryBudgetLedger::new());
        let shared: Arc<dyn BudgetLedger> = Arc::new(boxed);
        Arc::new(shared)
    }
}

mod memory {
    agentscale_core::budget_ledger_conformance!(super::Memory);
}

mod pointers {
    agentscale_core::budget_ledger_conformance!(super::Pointers);
}

const DAY: u64 = 86_400_000_000;

/// An exchange of one line: so much was spent, and as much is held beside it.
fn exchange(ledger: &Exchange, budget: &BudgetId, spent: u64, held: u64) -> Exchange {
    let amount = |tokens| Amount::new(tokens, Money::ZERO);
    let line = GrantLine {
        budget: budget.clone(),
        limit: BudgetLimit::of_tokens(1_000),
        spent: amount(spent),
        least: amount(spent + held),
        most: amount(spent + held),
    };
    ledger.clone().with_lines(vec![line])
}

#[tokio::test]
async fn budgets_of_periods_long_over_are_forgotten_and_what_is_set_aside_is_not() {
    let ledger = InMemoryBudgetLedger::new();
    let lease = Duration::from_secs(400 * 86_400);
    let holder = ledger.join(JoinRequest::new(0, lease)).await.unwrap();
    let budget =
        |name: &str, period| BudgetId::at(BudgetScope::new(Some(Tenant::new(name).unwrap())), period, 0);
    let (day, held, forever) = (
        budget("settled", BudgetPeriod::Day),
        budget("held", BudgetPeriod::Day),
        budget("lasting", BudgetPeriod::Forever),
    );
    let at = |sequence, now| Exchange::new(holder.epoch, sequence, now, lease);
    ledger.exchange(exchange(&at(1, 0), &day, 10, 0)).await.unwrap();
    ledger.exchange(exchange(&at(2, 0), &held, 20, 5)).await.unwrap();
    ledger.exchange(exchange(&at(3, 0), &forever, 30, 0)).await.unwrap();
    ledger.exchange(at(4, 36 * DAY)).await.unwrap();
    let spent = |balances: Vec<Balance>| balances.iter().map(|of| of.spent.tokens).collect::<Vec<_>>();
    let all = [day, held, forever];
    assert_eq!(spent(ledger.balances(&all, 36 * DAY).await.unwrap()), [10, 20, 30]);
    ledger.exchange(at(5, 36 * DAY + 1)).await.unwrap();
    assert_eq!(spent(ledger.balances(&all, 36 * DAY).await.unwrap()), [0, 20, 30]);
    assert!(!format!("{ledger:?}").contains("settled"), "nor does the holder keep it: {ledger:?}");
    ledger.leave(LeaveRequest::new(holder.epoch, 36 * DAY + 1)).await.unwrap();
    ledger.join(JoinRequest::new(36 * DAY + 1, lease)).await.unwrap();
    assert_eq!(spent(ledger.balances(&all, 36 * DAY).await.unwrap()), [0, 0, 30]);
}
