//! Gateways that spend budgets of one file.

use std::path::Path;
use std::time::Duration;

use agentscale::core::budget::{BudgetId, BudgetLimit, BudgetPeriod, BudgetScope, UsageQuery};
use agentscale::core::llm::{CallContext, Completion, FinishReason, Usage};
use agentscale::core::testkit::ScriptedProvider;
use agentscale::core::time::{Clock, SystemClock};
use agentscale::core::{BudgetLedger, ErrorKind};
use agentscale::llm::gateway::{Budget, Gateway, GatewayConfig, GatewayModel, KeyPool, ProviderKey};
use agentscale::prelude::*;
use agentscale::store::SqliteBudgetLedger;
use futures::future::join_all;

/// What each call uses.
const USED: u64 = 130;
const LIMIT: u64 = 100_000;

fn tenant() -> Tenant {
    Tenant::new("acme").unwrap()
}

fn ask() -> CompletionRequest {
    let context = CallContext::new().with_tenant(tenant());
    CompletionRequest::new(vec![Message::user("how long does a lease last?")]).with_context(context)
}

async fn gateway(path: &Path) -> (Gateway, SqliteBudgetLedger) {
    let ledger = SqliteBudgetLedger::open(path).await.unwrap();
    let usage = Usage::new(100, USED - 100);
    let answer = Completion::new(Message::assistant("ten seconds"), FinishReason::Stop, usage, "m");
    let provider = ScriptedProvider::new().with_completion(answer).repeating();
    let mut config = GatewayConfig::new();
    config.budgets.settle_every_ms = 20;
    config.budgets.lease_ms = 10_000;
    let gateway = Gateway::builder()
        .config(config)
        .pool(KeyPool::new("p").key(ProviderKey::new("k", provider)))
        .model(GatewayModel::new("m").via("p", "").with_max_output_tokens(100))
        .ledger(ledger.clone())
        .budget(Budget::for_each_tenant(BudgetPeriod::Forever, BudgetLimit::of_tokens(LIMIT)))
        .build()
        .unwrap();
    (gateway, ledger)
}

/// Calls of many at once, until so many in a row are refused; how many were answered.
async fn spend(gateway: &Gateway, most: u64) -> u64 {
    let callers = (0..8).map(|_| async {
        let (mut answered, mut refused) = (0, 0);
        while refused < 20 && answered < most / 8 {
            match gateway.complete(ask()).await {
                Ok(_) => answered += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::BudgetExceeded, "{error}");
                    refused += 1;
                    // Whatever another gateway gives back meanwhile is there for this one.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        answered
    });
    join_all(callers).await.into_iter().sum()
}

async fn spent(ledger: &SqliteBudgetLedger, later: Duration) -> (u64, u64) {
    let now = SystemClock::new().unix_micros() + u64::try_from(later.as_micros()).unwrap();
    let id = BudgetId::at(BudgetScope::new(Some(tenant())), BudgetPeriod::Forever, now);
    let found = ledger.balances(&[id], now).await.unwrap()[0];
    (found.spent.tokens, found.reserved.tokens)
}

#[tokio::test]
async fn two_gateways_on_one_file_never_spend_more_than_it_holds_and_nearly_all_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("budgets.db");
    // Each opens the file for itself, as two processes do.
    let (one, ledger) = gateway(&path).await;
    let (other, _) = gateway(&path).await;
    let (first, second) = tokio::join!(spend(&one, u64::MAX), spend(&other, u64::MAX));
    one.close().await.unwrap();
    other.close().await.unwrap();
    let answered = first + second;
    assert!(answered * USED <= LIMIT && answered * USED >= LIMIT * 95 / 100, "{first} and {second}");
    assert_eq!(spent(&ledger, Duration::ZERO).await, (answered * USED, 0));
    let used = ledger.usage(UsageQuery::of_tenant(tenant())).await.unwrap();
    assert_eq!(used.iter().map(|record| record.counts.calls).sum::<u64>(), answered);
}

#[tokio::test]
async fn gateways_that_die_one_after_the_other_spend_no_more_than_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("budgets.db");
    let mut answered = 0;
    for _ in 0..5 {
        let (gateway, ledger) = gateway(&path).await;
        answered += spend(&gateway, 100).await;
        // Its task ends with it: nobody settles, nobody gives back.
        drop((gateway, ledger));
    }
    assert!(answered > 0 && answered * USED <= LIMIT, "{answered}");
    let (last, ledger) = gateway(&path).await;
    answered += spend(&last, u64::MAX).await;
    assert!(answered * USED <= LIMIT, "{answered}");
    last.close().await.unwrap();
    let (booked, reserved) = spent(&ledger, Duration::from_secs(60)).await;
    assert!(booked >= answered * USED && booked <= LIMIT && reserved == 0, "{booked} for {answered}");
}
