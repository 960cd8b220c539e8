//! Grants: what may be spent.

use std::sync::Arc;

use super::BudgetLedgerHarness;
use super::scene::{NOON, Spender, balance, balance_of, daily, ledger, line, tokens};
use crate::budget::{Amount, BudgetLimit, GrantLine, Money};

/// What a holder needs is granted whole where it is left, and else as much as is left.
pub async fn what_is_needed_is_granted_as_far_as_the_limit_goes(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let (mut one, mut other) = (Spender::join(&ledger).await, Spender::join(&ledger).await);
    let grant = one.exchange(line(&daily("acme"), 100, 0, 70, 70)).await;
    assert_eq!((grant.granted.tokens, grant.left.tokens), (70, 30));
    let grant = other.exchange(line(&daily("acme"), 100, 0, 50, 50)).await;
    assert_eq!((grant.granted.tokens, grant.left.tokens), (30, 0));
    assert_eq!(balance(&ledger, &daily("acme"), NOON).await, balance_of(0, 100, 0));
    let grant = one.exchange(line(&daily("acme"), 100, 60, 80, 80)).await;
    assert_eq!((grant.granted.tokens, grant.left.tokens), (70, 0), "settling makes no room");
    assert_eq!(balance(&ledger, &daily("acme"), NOON).await, balance_of(60, 40, 0));
}

/// On top of what it needs a holder gets what it wants, and no more than an eighth of what is left then.
pub async fn of_what_is_not_needed_an_eighth_of_what_is_left_is_granted(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    let grant = spender.exchange(line(&daily("acme"), 1_000, 0, 200, 500)).await;
    assert_eq!((grant.granted.tokens, grant.left.tokens), (300, 700));
    let grant = spender.exchange(line(&daily("acme"), 1_000, 0, 300, 310)).await;
    assert_eq!((grant.granted.tokens, grant.left.tokens), (310, 690));
}

/// What a holder has above what it wants goes back, and what it spent does not.
pub async fn what_is_not_wanted_goes_back(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    spender.exchange(line(&daily("acme"), 100, 0, 80, 80)).await;
    let grant = spender.exchange(line(&daily("acme"), 100, 20, 0, 30)).await;
    assert_eq!((grant.granted.tokens, grant.left.tokens), (30, 70));
    let grant = spender.exchange(line(&daily("acme"), 100, 25, 0, 0)).await;
    assert_eq!((grant.granted.tokens, grant.left.tokens), (25, 75));
    assert_eq!(balance(&ledger, &daily("acme"), NOON).await, balance_of(25, 0, 0));
}

/// A limit of zero grants nothing.
pub async fn a_limit_of_zero_grants_nothing(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    let grant = spender.exchange(line(&daily("acme"), 0, 0, 1, 1_000)).await;
    assert_eq!((grant.granted, grant.left.tokens), (tokens(0), 0));
}

/// The limit of tokens leaves the money alone, and the other way round.
pub async fn tokens_and_money_are_limited_each(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    let limit = BudgetLimit::of_tokens(100).with_money(Money::from_dollars(1));
    let want = |tokens, dollars| Amount::new(tokens, Money::from_dollars(dollars));
    let both =
        |least: Amount| GrantLine { budget: daily("acme"), limit, spent: Amount::ZERO, least, most: least };
    assert_eq!(spender.exchange(both(want(50, 7))).await.granted, want(50, 1));
    assert_eq!(spender.exchange(both(want(500, 1))).await.granted, want(100, 1));
}

/// What has no limit is not set aside, and what is spent of it is counted.
pub async fn what_has_no_limit_is_counted(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    let spent = Amount::new(10, Money::from_dollars(3));
    let line = GrantLine {
        budget: daily("acme"),
        limit: BudgetLimit::of_tokens(100),
        spent,
        least: Amount::new(20, Money::from_dollars(50)),
        most: Amount::new(20, Money::from_dollars(50)),
    };
    assert_eq!(spender.exchange(line).await.granted, Amount::new(20, Money::from_dollars(3)));
    let found = balance(&ledger, &daily("acme"), NOON).await;
    assert_eq!((found.spent, found.reserved), (spent, tokens(10)));
}

/// A higher limit lets more be granted at once; under a lower one what was granted stays, and no more is.
pub async fn another_limit_holds_from_then_on(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    spender.exchange(line(&daily("acme"), 100, 0, 100, 100)).await;
    assert_eq!(spender.exchange(line(&daily("acme"), 150, 0, 140, 140)).await.granted, tokens(140));
    let grant = spender.exchange(line(&daily("acme"), 50, 30, 200, 200)).await;
    assert_eq!((grant.granted, grant.left.tokens), (tokens(140), 0));
}

/// What a holder spent beyond its grants is booked whole, though it passes the limit; nothing is granted then.
pub async fn what_was_spent_beyond_a_grant_is_booked_whole(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    spender.exchange(line(&daily("acme"), 100, 0, 90, 90)).await;
    let grant = spender.exchange(line(&daily("acme"), 100, 130, 140, 140)).await;
    assert_eq!((grant.granted, grant.left.tokens), (tokens(130), 0));
    assert_eq!(balance(&ledger, &daily("acme"), NOON).await, balance_of(130, 0, 0));
}

/// Holders that ask at once together get what there is and no more.
pub async fn many_holders_at_once_stay_within_the_limit(harness: &dyn BudgetLedgerHarness) {
    const HOLDERS: u64 = 32;
    const LIMIT: u64 = 10_000;
    let ledger = ledger(harness).await;
    let spenders: Vec<_> = (0..HOLDERS)
        .map(|number| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                let mut spender = Spender::join(&ledger).await;
                let (mut spent, mut granted) = (0, 0);
                for round in 0..20 {
                    let least = spent + 10 + (number * 7 + round * 13) % 90;
                    granted = spender
                        .exchange(line(&daily("acme"), LIMIT, spent, least, least))
                        .await
                        .granted
                        .tokens;
                    spent += (granted - spent) / 2;
                }
                granted
            })
        })
        .collect();
    let mut granted = 0;
    for spender in spenders {
        granted += spender.await.expect("the spender ends");
    }
    let found = balance(&ledger, &daily("acme"), NOON).await;
    assert!(granted <= LIMIT, "{granted}");
    assert_eq!(found.spent.saturating_add(found.reserved), tokens(granted));
}
