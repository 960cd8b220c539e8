//! Holders: who may spend, and until when.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::BudgetLedgerHarness;
use super::scene::{LEASE, NOON, Spender, balance, balance_of, daily, later, ledger, line, tokens};
use crate::ErrorKind;
use crate::checkpoint::Epoch;

const SECOND: Duration = Duration::from_secs(1);

/// Each holder has an epoch that no other has, those that left included.
pub async fn no_two_holders_have_one_epoch(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut seen = HashSet::new();
    for round in 0..10 {
        let spender = Spender::join(&ledger).await;
        assert!(seen.insert(spender.epoch));
        if round % 2 == 0 {
            spender.leave().await.expect("the holder leaves");
        }
    }
}

/// An epoch that the ledger did not give, or that has left, is `fenced`.
pub async fn who_never_joined_is_fenced(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    spender.leave().await.expect("the holder leaves");
    for epoch in [spender.epoch, Epoch { incarnation: 7, counter: 7_000 }] {
        spender.epoch = epoch;
        let refused = spender.try_exchange(vec![line(&daily("acme"), 100, 0, 10, 10)]).await;
        assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Fenced);
        assert_eq!(spender.leave().await.expect_err("it is refused").kind(), ErrorKind::Fenced);
    }
    assert_eq!(balance(&ledger, &daily("acme"), NOON).await, balance_of(0, 0, 0));
}

/// Who leaves gives back what was set aside for it and not spent.
pub async fn who_leaves_gives_back_what_is_left(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let (mut one, mut other) = (Spender::join(&ledger).await, Spender::join(&ledger).await);
    one.exchange(line(&daily("acme"), 100, 40, 100, 100)).await;
    one.leave().await.expect("the holder leaves");
    assert_eq!(balance(&ledger, &daily("acme"), NOON).await, balance_of(40, 0, 0));
    assert_eq!(other.exchange(line(&daily("acme"), 100, 0, 60, 60)).await.granted, tokens(60));
}

/// Who knows what a dead holder spent settles for it and gives back the rest, by its epoch and while its lease lasts.
pub async fn who_knows_what_a_dead_holder_spent_gives_back_the_rest(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut dead = Spender::join(&ledger).await;
    dead.exchange(line(&daily("acme"), 100, 0, 70, 70)).await;
    harness.pass(LEASE - SECOND).await;
    let now = later(LEASE - SECOND);
    // It had sent exchanges that nobody else knows of.
    let mut heir = Spender { ledger: Arc::clone(&ledger), epoch: dead.epoch, sequence: 1_000, now };
    heir.exchange(line(&daily("acme"), 100, 20, 20, 20)).await;
    heir.leave().await.expect("the holder leaves");
    assert_eq!(balance(&ledger, &daily("acme"), now).await, balance_of(20, 0, 0));
    let refused = dead.try_exchange(vec![line(&daily("acme"), 100, 30, 70, 70)]).await;
    assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Fenced);
}

/// What was set aside for a holder that is not heard of within its lease counts as spent, from the next operation on.
pub async fn who_is_not_heard_of_forfeits_what_it_held(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut lost = Spender::join(&ledger).await;
    lost.exchange(line(&daily("acme"), 100, 20, 70, 70)).await;
    harness.pass(LEASE - SECOND).await;
    let mut other = Spender::join_at(&ledger, later(LEASE - SECOND)).await;
    assert_eq!(balance(&ledger, &daily("acme"), other.now).await, balance_of(20, 50, 0), "its lease lasts");
    harness.pass(SECOND).await;
    other.now = later(LEASE);
    let grant = other.exchange(line(&daily("acme"), 100, 0, 100, 100)).await;
    assert_eq!(grant.granted, tokens(30));
    assert_eq!(balance(&ledger, &daily("acme"), other.now).await, balance_of(70, 30, 50));
}

/// Each exchange renews the lease, one without lines too.
pub async fn an_exchange_renews_the_lease(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    spender.exchange(line(&daily("acme"), 100, 0, 70, 70)).await;
    for seconds in [10, 20, 30, 40] {
        harness.pass(SECOND * 10).await;
        spender.now = later(SECOND * seconds);
        spender.try_exchange(Vec::new()).await.expect("the lease was renewed");
    }
    Spender::join_at(&ledger, spender.now + 1).await;
    assert_eq!(balance(&ledger, &daily("acme"), spender.now).await, balance_of(0, 70, 0));
}

/// Who settles behind the end of its lease is `fenced`: its grant was forfeited, and nothing is booked twice.
pub async fn a_late_settlement_is_fenced_and_changes_nothing(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut frozen = Spender::join(&ledger).await;
    frozen.exchange(line(&daily("acme"), 100, 0, 70, 70)).await;
    harness.pass(LEASE).await;
    frozen.now = later(LEASE);
    // Nobody else has come by meanwhile.
    let refused = frozen.try_exchange(vec![line(&daily("acme"), 100, 65, 100, 100)]).await;
    assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Fenced);
    let mut anew = Spender::join_at(&ledger, frozen.now).await;
    assert_eq!(balance(&ledger, &daily("acme"), frozen.now).await, balance_of(70, 0, 70));
    assert_eq!(anew.exchange(line(&daily("acme"), 100, 0, 100, 100)).await.granted, tokens(30));
}

/// An exchange that is sent again is answered again and changes nothing.
pub async fn a_repeated_exchange_has_its_effect_once(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    spender.exchange(line(&daily("acme"), 100, 0, 50, 50)).await;
    let exchange = spender.next(vec![line(&daily("acme"), 100, 20, 70, 70)]);
    let first = ledger.exchange(exchange.clone()).await.expect("the ledger exchanges");
    let second = ledger.exchange(exchange).await.expect("the ledger exchanges");
    assert_eq!(first, second);
    assert_eq!(balance(&ledger, &daily("acme"), NOON).await, balance_of(20, 50, 0));
}

/// An exchange that arrives behind a later one is a `conflict` and changes nothing.
pub async fn an_older_exchange_is_a_conflict(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    let older = spender.next(vec![line(&daily("acme"), 100, 0, 0, 0)]);
    spender.exchange(line(&daily("acme"), 100, 0, 80, 80)).await;
    let refused = ledger.exchange(older).await;
    assert_eq!(refused.expect_err("it is refused").kind(), ErrorKind::Conflict);
    assert_eq!(balance(&ledger, &daily("acme"), NOON).await, balance_of(0, 80, 0));
}
