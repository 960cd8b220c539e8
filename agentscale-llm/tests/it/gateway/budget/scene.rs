use std::sync::Arc;
use std::time::Duration;

use agentscale_core::budget::{
    Amount, Balance, BudgetId, BudgetLimit, BudgetPeriod, BudgetScope, Money, UsageCounts, UsageQuery,
};
use agentscale_core::llm::{Completion, FinishReason, LlmProvider, Message, Usage};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::time::ManualClock;
use agentscale_core::{Account, BudgetLedger, Tenant};
use agentscale_llm::budget::InMemoryBudgetLedger;
use agentscale_llm::gateway::{Budget, Gateway, GatewayBuilder, GatewayModel, KeyPool, ProviderKey};
use agentscale_llm::prices::{Price, PriceTable};

pub(crate) use super::super::scene::{ask, builder, tenant};

/// A token of input costs 1,000 billionths of a dollar, one of output 5,000.
pub(crate) fn prices() -> PriceTable {
    PriceTable::new().with("m", Price::new(Money::from_dollars(1), Money::from_dollars(5)))
}

/// A model `m` of one provider, whose spending `ledger` keeps.
pub(crate) fn spending(provider: impl LlmProvider, ledger: &InMemoryBudgetLedger) -> GatewayBuilder {
    over([provider], ledger.clone())
}

pub(crate) fn over<P: LlmProvider>(
    providers: impl IntoIterator<Item = P>,
    ledger: impl BudgetLedger,
) -> GatewayBuilder {
    let mut model = GatewayModel::new("m").with_max_output_tokens(100);
    let mut gateway = builder();
    for (place, provider) in providers.into_iter().enumerate() {
        let pool = format!("p{place}");
        gateway = gateway.pool(KeyPool::new(&pool).key(ProviderKey::new(format!("k{place}"), provider)));
        model = model.via(pool, "");
    }
    gateway.model(model).ledger(ledger).prices(prices())
}

pub(crate) fn tokens(limit: u64) -> BudgetLimit {
    BudgetLimit::of_tokens(limit)
}

pub(crate) fn daily(limit: u64) -> Budget {
    Budget::for_each_tenant(BudgetPeriod::Day, tokens(limit))
}

/// An answer that used so much.
pub(crate) fn using(usage: Usage) -> ScriptedProvider {
    let answer = Completion::new(Message::assistant("ten seconds"), FinishReason::Stop, usage, "m");
    ScriptedProvider::new().with_completion(answer).repeating()
}

pub(crate) fn account(name: &str) -> Account {
    Account::new(name).unwrap()
}

pub(crate) async fn balance_at(ledger: &impl BudgetLedger, owner: Option<Tenant>, now: u64) -> Balance {
    let id = BudgetId::at(BudgetScope::new(owner), BudgetPeriod::Day, now);
    ledger.balances(&[id], now).await.unwrap()[0]
}

/// What acme's budget of the first day is.
pub(crate) async fn balance(ledger: &impl BudgetLedger) -> Balance {
    balance_at(ledger, Some(tenant("acme")), ManualClock::UNIX_START).await
}

/// What acme used, without an account.
pub(crate) async fn usage(ledger: &impl BudgetLedger) -> UsageCounts {
    let records = ledger.usage(UsageQuery::of_tenant(tenant("acme"))).await.unwrap();
    let mut sum = UsageCounts::default();
    records.iter().for_each(|record| sum.add(&record.counts));
    sum
}

/// Until the gateway has settled with its ledger.
pub(crate) async fn settled() {
    tokio::time::sleep(Duration::from_millis(5_001)).await;
}

/// The most that a call of `ask` can use, as the gateway sees it.
pub(crate) async fn bound() -> Amount {
    let ledger = InMemoryBudgetLedger::new();
    let gateway = spending(using(Usage::default()), &ledger).budget(daily(1_000_000)).build().unwrap();
    // A provider that does not tell what a call used is charged all that it can have.
    gateway.complete(ask("acme")).await.unwrap();
    gateway.close().await.unwrap();
    balance(&ledger).await.spent
}

pub(crate) fn shared(gateway: Gateway) -> Arc<Gateway> {
    Arc::new(gateway)
}
