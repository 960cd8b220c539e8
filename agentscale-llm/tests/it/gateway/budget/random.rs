use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use agentscale_core::budget::{Amount, BudgetPeriod, Day, UsageCounts, UsageQuery};
use agentscale_core::llm::{CompletionEvent, LlmProvider, Usage};
use agentscale_core::time::ManualClock;
use agentscale_core::{BudgetLedger, ErrorKind};
use agentscale_llm::SimulatedProvider;
use agentscale_llm::budget::InMemoryBudgetLedger;
use agentscale_llm::gateway::{Budget, Gateway, GatewayConfig};
use agentscale_llm::simulated::{ErrorRate, SimulatedConfig};
use fastrand::Rng;
use futures::future::join_all;

use super::scene::{account, ask, balance_at, bound, over, tenant, tokens};

/// Polls a future so often at most, and drops it then.
async fn within_polls<T>(polls: Option<u32>, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == Some(0) {
            return Poll::Ready(None);
        }
        left = left.map(|left| left - 1);
        let polled = future.as_mut().poll(context).map(Some);
        if polled.is_pending() && left == Some(0) { Poll::Ready(None) } else { polled }
    })
    .await
}

fn provider(seed: u64) -> SimulatedProvider {
    let mut config = SimulatedConfig::default();
    config.seed = seed;
    config.first_token_ms = 300;
    config.first_token_sigma = 0.7;
    config.token_us = 20_000;
    config.max_output_tokens = 120;
    config.break_rate = 0.05;
    config.errors = vec![
        ErrorRate { kind: ErrorKind::Overloaded, rate: 0.03 },
        ErrorRate { kind: ErrorKind::Unavailable, rate: 0.03 },
    ];
    SimulatedProvider::new(config).unwrap()
}

/// A call of a tenant that may be dropped at any await; gives how much of its answer was received, where it was cut.
async fn call(gateway: &Gateway, owner: &str, mut rng: Rng) -> u64 {
    let mut request = ask(owner);
    request.context.account = Some(account(["alice", "bob"][rng.usize(..2)]));
    let polls = rng.bool().then(|| rng.u32(0..8));
    if rng.bool() {
        // Whoever gets nothing has received nothing.
        drop(within_polls(polls, gateway.complete(request)).await);
        return 0;
    }
    let Some(Ok(mut stream)) = within_polls(polls, gateway.stream(request)).await else { return 0 };
    let (stop, mut received) = (rng.bool().then(|| rng.u64(0..60)), 0);
    while stop != Some(received) {
        match stream.next().await {
            Some(Ok(CompletionEvent::Finished(_))) | None => return 0,
            Some(Ok(_)) => received += 1,
            Some(Err(_)) => break,
        }
    }
    received
}

async fn used_by(ledger: &InMemoryBudgetLedger, owner: &str) -> UsageCounts {
    let mut sum = UsageCounts::default();
    for name in ["alice", "bob"] {
        let query = UsageQuery::of_account(tenant(owner), account(name)).between(Day(0), Day(u32::MAX));
        ledger.usage(query).await.unwrap().iter().for_each(|record| sum.add(&record.counts));
    }
    sum
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_with_cancels_at_random_awaits_overspend_nothing_and_are_charged_what_is_billed() {
    const CALLS: usize = 10_000;
    const TENANTS: usize = 25;
    let most = bound().await;
    for seed in [1, 2] {
        let ledger = InMemoryBudgetLedger::new();
        let providers = [provider(seed), provider(seed + 100)];
        // About half of the calls are within the budget.
        let limit = most.tokens * 120;
        // The gateway's own probes are in no budget.
        let mut config = GatewayConfig::new();
        config.failures_to_leave = u16::MAX;
        let gateway = over(providers.clone(), ledger.clone())
            .config(config)
            .budget(Budget::for_each_tenant(BudgetPeriod::Day, tokens(limit)))
            .budget(
                Budget::for_each_tenant(BudgetPeriod::Day, tokens(limit / 2))
                    .for_each_account()
                    .for_model("m"),
            )
            .build()
            .unwrap();
        let mut rng = Rng::with_seed(seed);
        let calls = (0..CALLS).map(|place| {
            let (gateway, rng) = (gateway.clone(), rng.fork());
            let pause = std::time::Duration::from_millis(place as u64 * 3);
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                call(&gateway, &format!("t{}", place % TENANTS), rng).await
            })
        });
        let received: u64 = join_all(calls).await.into_iter().map(Result::unwrap).sum();
        gateway.close().await.unwrap();

        let (mut counts, mut spent) = (UsageCounts::default(), Amount::ZERO);
        for place in 0..TENANTS {
            let owner = format!("t{place}");
            let used = used_by(&ledger, &owner).await;
            let balance = balance_at(&ledger, Some(tenant(&owner)), ManualClock::UNIX_START).await;
            assert!(balance.spent.tokens <= limit, "{owner} overspent: {balance:?}");
            assert_eq!((balance.reserved, balance.forfeited), (Amount::ZERO, Amount::ZERO));
            assert_eq!(balance.spent.tokens, used.input_tokens + used.output_tokens + used.cut_tokens);
            assert_eq!(balance.spent.money, used.cost.saturating_add(used.cut_cost));
            assert!(balance.spent.tokens > limit * 9 / 10, "{owner} was refused what it had: {balance:?}");
            counts.add(&used);
            spent = spent.saturating_add(balance.spent);
        }
        let bills = providers.map(|provider| provider.bill());
        let finished = bills.iter().map(|bill| bill.finished_calls).sum::<u64>();
        let of = |part: fn(&Usage) -> u64, cut: bool| -> u64 {
            bills.iter().map(|bill| part(if cut { &bill.cut } else { &bill.finished })).sum()
        };
        assert_eq!(counts.calls, finished);
        assert_eq!(counts.input_tokens, of(|usage| usage.input_tokens, false));
        assert_eq!(counts.output_tokens, of(|usage| usage.output_tokens, false));
        let cut = of(|usage| usage.input_tokens + usage.output_tokens, true);
        assert!(finished > 500 && counts.cut_calls > 500, "{counts:?}");
        assert!(counts.cut_calls >= bills.iter().map(|bill| bill.cut_calls).sum());
        assert!(cut <= counts.cut_tokens, "billed {cut}, charged {}", counts.cut_tokens);
        assert!(received <= counts.cut_tokens, "received {received}, charged {}", counts.cut_tokens);
        assert_eq!(counts.cut_tokens, counts.cut_calls * most.tokens, "charged what was reserved");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_small_budgets_at_once_are_each_spent_and_none_is_overspent() {
    const TENANTS: u64 = 1_000;
    let most = bound().await;
    let ledger = InMemoryBudgetLedger::new();
    let gateway = over([provider(3)], ledger.clone())
        .budget(Budget::for_each_tenant(BudgetPeriod::Month, tokens(most.tokens * 3)))
        .build()
        .unwrap();
    let calls = (0..TENANTS * 6).map(|call| {
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.complete(ask(&format!("t{}", call % TENANTS))).await })
    });
    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    let exceeded = refused.filter(|error| error.kind() == ErrorKind::BudgetExceeded).count() as u64;
    assert_eq!(exceeded, TENANTS * 3, "three of six fit at once");
    assert!(gateway.waiting() == 0);
}
