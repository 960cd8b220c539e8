use std::time::Duration;

use agentscale_core::BudgetLedger;
use agentscale_core::budget::{BudgetId, BudgetLimit, BudgetPeriod, BudgetScope, Money, UsageQuery};
use agentscale_core::llm::{EmbeddingRequest, LlmProvider, Usage};
use agentscale_core::metrics::Metrics;
use agentscale_core::time::ManualClock;
use agentscale_core::{ErrorKind, Retry};
use agentscale_llm::budget::InMemoryBudgetLedger;
use agentscale_llm::cache::{ResponseCache, ResponseCacheConfig};
use agentscale_llm::gateway::Budget;
use agentscale_llm::prices::{Price, PriceTable};
use agentscale_llm::{ExtractiveProvider, estimate_tokens};

use super::scene::{
    account, ask, balance, balance_at, bound, daily, settled, shared, spending, tenant, tokens, usage, using,
};

#[tokio::test(start_paused = true)]
async fn a_budget_is_spent_to_the_last_call_that_fits_and_no_further() {
    let most = bound().await;
    let ledger = InMemoryBudgetLedger::new();
    let limit = 10 * 130 + most.tokens - 1;
    let gateway = spending(using(Usage::new(100, 30)), &ledger).budget(daily(limit)).build().unwrap();
    for call in 0..10 {
        gateway.complete(ask("acme")).await.unwrap_or_else(|error| panic!("{call}: {error}"));
    }
    let error = gateway.complete(ask("acme")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded);
    assert_eq!((error.context("budget"), error.context("period")), (Some("acme"), Some("day")));
    assert_eq!((error.retry(), error.retry_after()), (Retry::Later, Some(Duration::from_secs(86_400))));
    gateway.complete(ask("other")).await.unwrap();
    settled().await;
    assert_eq!(balance(&ledger).await.spent.tokens, 1_300);
    let used = usage(&ledger).await;
    assert_eq!((used.calls, used.input_tokens, used.output_tokens), (10, 1_000, 300));
    assert_eq!(used.cost, Money::from_nanos(10 * (100 * 1_000 + 30 * 5_000)));
}

#[tokio::test(start_paused = true)]
async fn a_new_day_is_a_new_budget() {
    let ledger = InMemoryBudgetLedger::new();
    let most = bound().await;
    let gateway = spending(using(Usage::default()), &ledger).budget(daily(most.tokens)).build().unwrap();
    let start = tokio::time::Instant::now();
    gateway.complete(ask("acme")).await.unwrap();
    assert_eq!(gateway.complete(ask("acme")).await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
    tokio::time::sleep_until(start + Duration::from_secs(86_400)).await;
    gateway.complete(ask("acme")).await.unwrap();
    gateway.close().await.unwrap();
    assert_eq!(balance(&ledger).await.spent, most);
    let tomorrow = ManualClock::UNIX_START + 86_400_000_000;
    assert_eq!(balance_at(&ledger, Some(tenant("acme")), tomorrow).await.spent, most);
    let days = ledger.usage(UsageQuery::of_tenant(tenant("acme"))).await.unwrap();
    assert_eq!(
        days.iter().map(|record| record.day.to_string()).collect::<Vec<_>>(),
        ["2026-01-01", "2026-01-02"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_nothing_lets_nothing_through() {
    let ledger = InMemoryBudgetLedger::new();
    let provider = using(Usage::new(1, 1));
    let gateway = spending(provider.clone(), &ledger).budget(daily(0)).build().unwrap();
    for _ in 0..3 {
        assert_eq!(gateway.complete(ask("acme")).await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
        assert!(gateway.stream(ask("acme")).await.is_err());
    }
    assert_eq!(provider.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_budget_that_holds_for_a_call_has_room_for_it_or_none_pays() {
    let most = bound().await;
    let ledger = InMemoryBudgetLedger::new();
    let gateway = spending(using(Usage::default()), &ledger)
        .budget(daily(most.tokens * 3))
        .budget(daily(most.tokens * 2).for_each_account())
        .budget(daily(most.tokens).for_each_account().for_model("m"))
        .budget(Budget::for_tenant(tenant("acme"), BudgetPeriod::Day, tokens(most.tokens * 4)).for_model("m"))
        .build()
        .unwrap();
    let ask_for = |name: &str| {
        let mut request = ask("acme");
        request.context.account = Some(account(name));
        request
    };
    gateway.complete(ask_for("alice")).await.unwrap();
    let error = gateway.complete(ask_for("alice")).await.unwrap_err();
    assert_eq!(error.context("budget"), Some("acme, account alice, model m"), "the narrowest");
    gateway.complete(ask_for("bob")).await.unwrap();
    gateway.complete(ask_for("carol")).await.unwrap();
    let error = gateway.complete(ask_for("dave")).await.unwrap_err();
    assert_eq!(error.context("budget"), Some("acme"));
    settled().await;
    assert_eq!(
        balance(&ledger).await.spent.tokens,
        most.tokens * 3,
        "what was refused costs nothing anywhere"
    );
    for (name, calls) in [("alice", 1), ("bob", 1), ("dave", 0)] {
        let query = UsageQuery::of_account(tenant("acme"), account(name));
        let found: u64 =
            ledger.usage(query).await.unwrap().iter().map(|record| record.counts.cut_calls).sum();
        assert_eq!(found, calls, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_without_a_tenant_have_a_budget_of_their_own() {
    let most = bound().await;
    let ledger = InMemoryBudgetLedger::new();
    let day = BudgetPeriod::Day;
    let gateway = spending(using(Usage::default()), &ledger)
        .budget(Budget::for_no_tenant(day, tokens(most.tokens)))
        .build()
        .unwrap();
    let mut nobodys = ask("acme");
    nobodys.context.tenant = None;
    gateway.complete(nobodys.clone()).await.unwrap();
    let error = gateway.complete(nobodys).await.unwrap_err();
    assert_eq!(error.context("budget"), Some("no tenant"));
    gateway.complete(ask("acme")).await.unwrap();
    settled().await;
    assert_eq!(balance_at(&ledger, None, ManualClock::UNIX_START).await.spent, most);
    assert_eq!(ledger.usage(UsageQuery::of_nobody()).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn money_is_counted_by_the_price_of_each_kind_of_token() {
    let ledger = InMemoryBudgetLedger::new();
    let price = Price::new("3".parse().unwrap(), "15".parse().unwrap())
        .with_cached_input("0.30".parse().unwrap())
        .with_cache_write("3.75".parse().unwrap(), "6".parse().unwrap());
    let used = Usage::new(100, 40).with_cached(50).with_cache_write(30).with_reasoning(8);
    let dollar = BudgetLimit::of_money(Money::from_dollars(1));
    let gateway = spending(using(used), &ledger)
        .prices(PriceTable::new().with("m", price))
        .budget(Budget::for_each_tenant(BudgetPeriod::Day, dollar))
        .build()
        .unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    settled().await;
    let cost = Money::from_nanos(20 * 3_000 + 50 * 300 + 30 * 3_750 + 40 * 15_000);
    let (spent, counts) = (balance(&ledger).await.spent, usage(&ledger).await);
    assert_eq!((spent.money, counts.cost, counts.unpriced_calls), (cost, cost, 0));
    assert_eq!((counts.cached_input_tokens, counts.cache_write_input_tokens), (50, 30));
    assert_eq!(counts.reasoning_tokens, 8);
}

#[tokio::test(start_paused = true)]
async fn a_model_without_a_price_is_refused_under_a_budget_of_money_and_never_free() {
    let ledger = InMemoryBudgetLedger::new();
    let money = Budget::for_each_tenant(BudgetPeriod::Day, BudgetLimit::of_money(Money::from_dollars(1)));
    let set_up = |prices| spending(using(Usage::new(10, 10)), &ledger).prices(prices);
    let provider_calls = |gateway: agentscale_llm::gateway::Gateway| async move {
        gateway.complete(ask("acme")).await.map(|_| ()).map_err(|error| error.kind())
    };
    let refused = provider_calls(set_up(PriceTable::new()).budget(money.clone()).build().unwrap()).await;
    assert_eq!(refused, Err(ErrorKind::Unsupported));
    let with_default =
        PriceTable::new().with_default(Price::new(Money::from_dollars(9), Money::from_dollars(9)));
    assert_eq!(provider_calls(set_up(with_default).budget(money).build().unwrap()).await, Ok(()));
    let unlimited = set_up(PriceTable::new()).budget(daily(1_000_000)).build().unwrap();
    unlimited.complete(ask("acme")).await.unwrap();
    unlimited.close().await.unwrap();
    assert_eq!(usage(&ledger).await.unpriced_calls, 1, "it is told that the cost lacks something");
}

#[tokio::test(start_paused = true)]
async fn embeddings_count() {
    let ledger = InMemoryBudgetLedger::new();
    let config = agentscale_llm::simulated::SimulatedConfig::default();
    let provider = agentscale_llm::SimulatedProvider::new(config).unwrap();
    let gateway = spending(provider, &ledger).budget(daily(2_000)).build().unwrap();
    let context = ask("acme").context;
    let embed = |text: String| EmbeddingRequest::new(vec![text]).with_context(context.clone());
    gateway.embed(embed("x".repeat(1_000))).await.unwrap();
    assert_eq!(gateway.embed(embed("x".repeat(2_000))).await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
    settled().await;
    assert_eq!(balance(&ledger).await.spent.tokens, estimate_tokens(&"x".repeat(1_000)));
}

#[tokio::test(start_paused = true)]
async fn what_a_cache_before_the_gateway_knows_costs_nothing() {
    let ledger = InMemoryBudgetLedger::new();
    let gateway = spending(using(Usage::new(100, 30)), &ledger).budget(daily(1_000)).build().unwrap();
    let cache = ResponseCache::new(shared(gateway), &ResponseCacheConfig::default()).unwrap();
    for _ in 0..100 {
        cache.complete(ask("acme")).await.unwrap();
    }
    settled().await;
    assert_eq!(balance(&ledger).await.spent.tokens, 130);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_was_spent_and_holds_the_new_limits() {
    let most = bound().await;
    let ledger = InMemoryBudgetLedger::new();
    let set_up = |limit| spending(using(Usage::default()), &ledger).budget(daily(limit));
    let gateway = set_up(most.tokens * 2).build().unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    assert!(gateway.complete(ask("acme")).await.is_err());
    gateway.reload(set_up(most.tokens * 3)).unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    assert!(gateway.complete(ask("acme")).await.is_err());
    gateway.reload(spending(using(Usage::default()), &ledger)).unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    gateway.close().await.unwrap();
    assert_eq!(balance(&ledger).await.spent.tokens, most.tokens * 3, "the last call had no budget");
}

#[tokio::test(start_paused = true)]
async fn budgets_without_a_ledger_or_twice_are_refused() {
    let ledger = InMemoryBudgetLedger::new();
    let plain = || super::super::scene::pooled([(ExtractiveProvider::new(), Default::default())]);
    assert_eq!(plain().budget(daily(1)).build().unwrap_err().kind(), ErrorKind::InvalidInput);
    let gateway = plain().build().unwrap();
    assert_eq!(gateway.reload(plain().budget(daily(1))).unwrap_err().kind(), ErrorKind::InvalidInput);
    gateway.close().await.unwrap();
    let twice = spending(ExtractiveProvider::new(), &ledger).budget(daily(1)).budget(daily(2));
    assert_eq!(twice.build().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn refusals_and_exchanges_are_counted() {
    let metrics = Metrics::new();
    let ledger = InMemoryBudgetLedger::new();
    let gateway =
        spending(using(Usage::new(1, 1)), &ledger).budget(daily(0)).metrics(metrics.clone()).build().unwrap();
    assert!(gateway.complete(ask("acme")).await.is_err());
    let text = metrics.snapshot().to_openmetrics();
    assert!(
        text.contains("agentscale_gateway_budget_refused_total{error_type=\"budget_exceeded\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("agentscale_gateway_budget_exchange_seconds_count 1\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn who_was_idle_for_long_goes_on_with_what_is_left_of_a_budget_for_good() {
    let most = bound().await.tokens;
    let ledger = InMemoryBudgetLedger::new();
    let lasting = Budget::for_each_tenant(BudgetPeriod::Forever, tokens(most + 4 * 130));
    let gateway = spending(using(Usage::new(100, 30)), &ledger).budget(lasting).build().unwrap();
    for call in 0..5 {
        for name in ["acme", "other"] {
            gateway.complete(ask(name)).await.unwrap_or_else(|error| panic!("{call}: {error}"));
        }
        // What lies idle goes back by and by.
        tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    }
    assert_eq!(gateway.complete(ask("acme")).await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
    let budget = BudgetId::at(BudgetScope::new(Some(tenant("acme"))), BudgetPeriod::Forever, 0);
    let balance = ledger.balances(&[budget], ManualClock::UNIX_START).await.unwrap()[0];
    assert_eq!(balance.spent.tokens, 5 * 130);
}
