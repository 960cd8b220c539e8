use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::budget::Amount;
use agentscale_core::llm::{CompletionEvent, LlmProvider, Message, PartialAnswer, Usage};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::{Error, Priority};
use agentscale_llm::budget::InMemoryBudgetLedger;
use agentscale_llm::gateway::{KeyLimits, KeyPool, ProviderKey};
use tokio::time::timeout;

use super::super::scene::{answering, failing};
use super::scene::{ask, balance, bound, daily, over, settled, spending, usage, using};

const PLENTY: u64 = 1_000_000;

async fn charged(provider: ScriptedProvider) -> (Amount, u64) {
    let ledger = InMemoryBudgetLedger::new();
    let gateway = spending(provider, &ledger).budget(daily(PLENTY)).build().unwrap();
    gateway.complete(ask("acme")).await.unwrap_err();
    settled().await;
    (balance(&ledger).await.spent, usage(&ledger).await.cut_calls)
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_refused_costs_nothing() {
    for kind in [
        ErrorKind::RateLimited,
        ErrorKind::QuotaExceeded,
        ErrorKind::Overloaded,
        ErrorKind::Unauthenticated,
        ErrorKind::PermissionDenied,
        ErrorKind::NotFound,
        ErrorKind::Unsupported,
        ErrorKind::InvalidInput,
        ErrorKind::ContextTooLong,
    ] {
        assert_eq!(charged(failing(kind)).await, (Amount::ZERO, 0), "{kind}");
    }
    let unreachable = Error::new(ErrorKind::Unavailable, "call").with_context("reason", "no connection");
    assert_eq!(charged(ScriptedProvider::new().with_error(unreachable)).await, (Amount::ZERO, 0));
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_may_have_billed_is_charged_whole() {
    let most = bound().await;
    for kind in [
        ErrorKind::Unavailable,
        ErrorKind::Internal,
        ErrorKind::Corrupt,
        ErrorKind::DeadlineExceeded,
        ErrorKind::ContentRefused,
        ErrorKind::TooLarge,
    ] {
        assert_eq!(charged(failing(kind)).await, (most, 1), "{kind}");
    }
    let partial = PartialAnswer::new(Message::assistant("ten"), Usage::default(), "m");
    let began = partial.behind(Error::new(ErrorKind::Overloaded, "call"));
    assert_eq!(charged(ScriptedProvider::new().with_error(began)).await, (most, 1), "it had begun");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_in_line_costs_nothing_and_one_that_was_sent_is_charged_whole() {
    let most = bound().await;
    let ledger = InMemoryBudgetLedger::new();
    let hanging = ScriptedProvider::new().with_hang().repeating();
    let key = ProviderKey::new("k", hanging).with_limits(KeyLimits::new().with_concurrency(1));
    let gateway = super::scene::builder()
        .pool(KeyPool::new("p").key(key))
        .model(agentscale_llm::gateway::GatewayModel::new("m").via("p", "").with_max_output_tokens(100))
        .prices(super::scene::prices())
        .ledger(ledger.clone())
        .budget(daily(PLENTY))
        .build()
        .unwrap();
    let sent = {
        let gateway = gateway.clone();
        tokio::spawn(async move { timeout(Duration::from_secs(2), gateway.complete(ask("acme"))).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut lining_up = ask("acme");
    lining_up.context.priority = Priority::Evaluation;
    assert!(timeout(Duration::from_secs(1), gateway.complete(lining_up)).await.is_err());
    assert!(sent.await.unwrap().is_err());
    settled().await;
    assert_eq!(balance(&ledger).await.spent, most);
    assert_eq!((usage(&ledger).await.cut_calls, usage(&ledger).await.calls), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_charged_what_it_used_if_it_ends_and_whole_if_it_is_cut() {
    let most = bound().await;
    let ledger = InMemoryBudgetLedger::new();
    let gateway = spending(using(Usage::new(100, 30)), &ledger).budget(daily(PLENTY)).build().unwrap();
    gateway.stream(ask("acme")).await.unwrap().collect().await.unwrap();
    settled().await;
    assert_eq!(balance(&ledger).await.spent.tokens, 130);
    let mut stream = gateway.stream(ask("acme")).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(CompletionEvent::Text(_)))));
    drop(stream);
    settled().await;
    assert_eq!(balance(&ledger).await.spent.tokens, 130 + most.tokens);

    let broken =
        ScriptedProvider::new().with_broken_stream("ten ", Error::new(ErrorKind::Unavailable, "read"));
    gateway.reload(spending(broken, &ledger).budget(daily(PLENTY))).unwrap();
    let mut stream = gateway.stream(ask("acme")).await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap_err();
    settled().await;
    assert_eq!(balance(&ledger).await.spent.tokens, 130 + 2 * most.tokens);
    let used = usage(&ledger).await;
    assert_eq!((used.calls, used.cut_calls, used.cut_tokens), (1, 2, 2 * most.tokens));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_a_reservation_of_its_own() {
    let most = bound().await;
    let of = |limit| {
        let ledger = InMemoryBudgetLedger::new();
        let providers = [failing(ErrorKind::Unavailable), using(Usage::new(100, 30))];
        let prices = super::scene::prices();
        let gateway = over(providers, ledger.clone()).prices(prices).budget(daily(limit)).build().unwrap();
        (gateway, ledger)
    };
    let (gateway, ledger) = of(PLENTY);
    gateway.complete(ask("acme")).await.unwrap();
    settled().await;
    assert_eq!(balance(&ledger).await.spent.tokens, most.tokens + 130);
    let (gateway, ledger) = of(2 * most.tokens - 1);
    let error = gateway.complete(ask("acme")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "what the first attempt ended with");
    settled().await;
    assert_eq!(balance(&ledger).await.spent, most);
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_bills_beyond_the_bound_is_booked_and_the_next_call_is_refused() {
    let most = bound().await;
    let ledger = InMemoryBudgetLedger::new();
    let gateway =
        spending(using(Usage::new(50_000, 5_000)), &ledger).budget(daily(most.tokens * 5)).build().unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    assert_eq!(gateway.complete(ask("acme")).await.unwrap_err().kind(), ErrorKind::BudgetExceeded);
    settled().await;
    assert_eq!(balance(&ledger).await.spent.tokens, 55_000);
}

#[tokio::test(start_paused = true)]
async fn without_a_ledger_nothing_is_charged() {
    let gateway = super::super::scene::over([answering()]);
    gateway.complete(ask("acme")).await.unwrap();
    gateway.close().await.unwrap();
    gateway.complete(ask("acme")).await.unwrap();
}
