//! Budgets: what is limited apart from what.

use super::BudgetLedgerHarness;
use super::scene::{NOON, Spender, account, balance, balance_of, daily, ledger, line, scope, tokens};
use crate::ErrorKind;
use crate::budget::{BudgetId, BudgetPeriod, BudgetScope};

const DAY: u64 = 86_400_000_000;

fn apart() -> Vec<BudgetId> {
    let day = |scope| BudgetId::at(scope, BudgetPeriod::Day, NOON);
    vec![
        daily("acme"),
        daily("other"),
        day(BudgetScope::new(None)),
        day(scope("acme").with_account(account("alice"))),
        day(scope("acme").with_model("large")),
        day(scope("acme").with_account(account("large"))),
        day(scope("acme").with_account(account("alice")).with_model("large")),
        day(scope("acme").with_model("")),
        BudgetId::at(scope("acme"), BudgetPeriod::Day, NOON + DAY),
        BudgetId::at(scope("acme"), BudgetPeriod::Month, NOON),
        BudgetId::at(scope("acme"), BudgetPeriod::Forever, NOON),
    ]
}

/// Budgets of other scopes or other periods have nothing to do with each other.
pub async fn scopes_and_periods_are_apart(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    for (budget, spent) in apart().iter().zip(1..) {
        spender.exchange(line(budget, 100, spent, 100, 100)).await;
    }
    let found = ledger.balances(&apart(), NOON).await.expect("the ledger is read");
    let expected: Vec<_> = (1..).take(apart().len()).map(|spent| balance_of(spent, 100 - spent, 0)).collect();
    assert_eq!(found, expected);
}

/// One exchange settles many budgets, each for itself.
pub async fn one_exchange_has_a_grant_for_each_line(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    let budgets: Vec<_> = (0..300).map(|number| daily(&format!("tenant {number}"))).collect();
    let lines = budgets.iter().zip(0..).map(|(budget, limit)| line(budget, limit, 0, 150, 150)).collect();
    let grants = spender.try_exchange(lines).await.expect("the ledger exchanges");
    let granted: Vec<_> = grants.iter().map(|grant| grant.granted.tokens).collect();
    assert_eq!(granted, (0..300).map(|limit| limit.min(150)).collect::<Vec<_>>());
    assert!(spender.try_exchange(Vec::new()).await.expect("the ledger exchanges").is_empty());
}

/// A line that needs more than it wants, or a budget that stands twice, is `invalid_input`, and no line has an effect.
pub async fn a_line_that_makes_no_sense_is_refused_with_all_others(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    let good = line(&daily("acme"), 100, 0, 10, 10);
    for wrong in [line(&daily("other"), 100, 0, 10, 5), good.clone()] {
        let refused = spender.try_exchange(vec![good.clone(), wrong]).await;
        assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(balance(&ledger, &daily("acme"), NOON).await, balance_of(0, 0, 0));
    assert_eq!(spender.exchange(good).await.granted, tokens(10));
}

/// A sum that does not fit in 63 bits stays at the largest: its budget is spent, and others go on.
pub async fn a_sum_that_does_not_fit_stops_its_own_budget_alone(harness: &dyn BudgetLedgerHarness) {
    const MOST: u64 = i64::MAX.cast_unsigned();
    let ledger = ledger(harness).await;
    let (mut one, mut other) = (Spender::join(&ledger).await, Spender::join(&ledger).await);
    for spender in [&mut one, &mut other] {
        let lines = vec![line(&daily("huge"), MOST, MOST - 7, 0, 0), line(&daily("acme"), 100, 10, 20, 20)];
        let grants = spender.try_exchange(lines).await.expect("the ledger exchanges");
        assert_eq!(grants[1].granted, tokens(20));
    }
    let found = balance(&ledger, &daily("huge"), NOON).await;
    assert!(found.spent.tokens >= MOST, "{found:?}");
    let grant = one.exchange(line(&daily("huge"), MOST, MOST - 7, MOST, MOST)).await;
    assert_eq!((grant.granted.tokens, grant.left.tokens), (MOST - 7, 0));
    assert_eq!(balance(&ledger, &daily("acme"), NOON).await, balance_of(20, 20, 0));
}
