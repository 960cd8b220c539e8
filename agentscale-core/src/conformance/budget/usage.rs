//! Usage: who used what.

use super::BudgetLedgerHarness;
use super::scene::{NOON, Spender, account, ledger, tenant};
use crate::budget::{Day, Money, UsageCounts, UsageQuery, UsageRecord};

fn counts(calls: u64) -> UsageCounts {
    UsageCounts {
        calls,
        input_tokens: 100 * calls,
        cached_input_tokens: 60 * calls,
        cache_write_input_tokens: 5 * calls,
        output_tokens: 10 * calls,
        reasoning_tokens: 4 * calls,
        cost: Money::from_nanos(1_000 * calls),
        cut_calls: calls,
        cut_tokens: 70 * calls,
        cut_cost: Money::from_nanos(500 * calls),
        unpriced_calls: 3 * calls,
    }
}

fn record(of: Option<(&str, Option<&str>)>, model: &str, day: Day, calls: u64) -> UsageRecord {
    let (owner, payer) = of.unzip();
    UsageRecord::new(owner.map(tenant), payer.flatten().map(account), model, day).with_counts(counts(calls))
}

const TODAY: Day = Day(47_441);
const YESTERDAY: Day = Day(47_440);

async fn record_all(spender: &mut Spender, records: Vec<UsageRecord>) {
    let exchange = spender.next(Vec::new()).with_usage(records);
    spender.ledger.exchange(exchange.clone()).await.expect("the ledger exchanges");
    // Sent again, it is not counted again.
    spender.ledger.exchange(exchange).await.expect("the ledger exchanges");
}

/// What is told of one account, model and day is added up.
pub async fn what_was_used_is_added_up_by_day_and_model(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    assert_eq!(Day::of(NOON), TODAY);
    let alice = Some(("acme", Some("alice")));
    record_all(&mut spender, vec![record(alice, "large", TODAY, 1), record(alice, "small", TODAY, 2)]).await;
    record_all(&mut spender, vec![record(alice, "large", YESTERDAY, 4)]).await;
    record_all(&mut spender, vec![record(alice, "large", TODAY, 8)]).await;
    let query = UsageQuery::of_account(tenant("acme"), account("alice"));
    let found = ledger.usage(query.clone()).await.expect("the ledger is read");
    let expected = [
        record(alice, "large", YESTERDAY, 4),
        record(alice, "large", TODAY, 9),
        record(alice, "small", TODAY, 2),
    ];
    assert_eq!(found, expected);
    let found = ledger.usage(query.between(YESTERDAY, YESTERDAY)).await.expect("the ledger is read");
    assert_eq!(found, expected[..1]);
}

/// A query gives what its account used, and nothing of any other.
pub async fn an_account_sees_its_own_alone(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    let whose = [
        Some(("acme", Some("alice"))),
        Some(("acme", Some("bob"))),
        Some(("other", Some("alice"))),
        Some(("acme", None)),
        None,
    ];
    let records = whose.iter().zip(1..).map(|(of, calls)| record(*of, "large", TODAY, calls)).collect();
    record_all(&mut spender, records).await;
    let queries = [
        UsageQuery::of_account(tenant("acme"), account("alice")),
        UsageQuery::of_account(tenant("acme"), account("bob")),
        UsageQuery::of_account(tenant("other"), account("alice")),
        UsageQuery::of_tenant(tenant("acme")),
        UsageQuery::of_nobody(),
    ];
    for ((of, calls), query) in whose.iter().zip(1..).zip(queries) {
        let found = ledger.usage(query).await.expect("the ledger is read");
        assert_eq!(found, [record(*of, "large", TODAY, calls)]);
    }
    let unknown = UsageQuery::of_account(tenant("other"), account("bob"));
    assert!(ledger.usage(unknown).await.expect("the ledger is read").is_empty());
}

/// A page goes on behind the last record of the one before.
pub async fn records_come_by_pages(harness: &dyn BudgetLedgerHarness) {
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    let alice = Some(("acme", Some("alice")));
    let mut all = Vec::new();
    for day in [YESTERDAY, TODAY] {
        all.extend(["a", "b", "c"].map(|model| record(alice, model, day, 1)));
    }
    record_all(&mut spender, all.clone()).await;
    let mut query = UsageQuery::of_account(tenant("acme"), account("alice")).with_limit(2);
    let mut found = Vec::new();
    loop {
        let page = ledger.usage(query.clone()).await.expect("the ledger is read");
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        query = query.after(last);
        found.extend(page);
    }
    assert_eq!(found, all);
}

/// A count that does not fit stays at the largest, which has 63 bits at the least.
pub async fn a_count_that_does_not_fit_stays_at_the_largest(harness: &dyn BudgetLedgerHarness) {
    const MOST: u64 = i64::MAX.cast_unsigned();
    let ledger = ledger(harness).await;
    let mut spender = Spender::join(&ledger).await;
    let mut huge = counts(1);
    huge.input_tokens = MOST - 7;
    let of = |counts| {
        UsageRecord::new(Some(tenant("acme")), Some(account("alice")), "large", TODAY).with_counts(counts)
    };
    record_all(&mut spender, vec![of(huge), of(counts(1))]).await;
    record_all(&mut spender, vec![of(huge)]).await;
    let query = UsageQuery::of_account(tenant("acme"), account("alice"));
    let found = ledger.usage(query).await.expect("the ledger is read");
    assert!(found[0].counts.input_tokens >= MOST, "{found:?}");
    assert_eq!(found[0].counts.calls, 3);
}
