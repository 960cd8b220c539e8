use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::budget::{
    Balance, BudgetId, BudgetPeriod, BudgetScope, Exchange, Exchanged, Holder, JoinRequest, LeaveRequest,
    LedgerCapabilities, UsageQuery, UsageRecord,
};
use agentscale_core::llm::{LlmProvider, Usage};
use agentscale_core::time::ManualClock;
use agentscale_core::{BudgetLedger, Error, ErrorKind, Result};
use agentscale_llm::budget::InMemoryBudgetLedger;
use agentscale_llm::gateway::{Budget, Gateway};
use async_trait::async_trait;
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::scene::{ask, balance, bound, daily, over, settled, tenant, tokens, usage, using};

/// A ledger whose exchanges can go wrong.
#[derive(Clone, Debug, Default)]
struct Faulty {
    inner: InMemoryBudgetLedger,
    fault: Arc<AtomicU8>,
    exchanges: Arc<AtomicU64>,
}

const FAILS: u8 = 1;
const HANGS: u8 = 2;
/// Every second answer.
const LOSES_ANSWERS: u8 = 3;

impl Faulty {
    fn set(&self, fault: u8) {
        self.fault.store(fault, Ordering::Relaxed);
    }

    fn gateway(&self, used: Usage, limit: u64) -> Gateway {
        over([using(used)], self.clone()).budget(daily(limit)).build().unwrap()
    }
}

#[async_trait]
impl BudgetLedger for Faulty {
    fn capabilities(&self) -> LedgerCapabilities {
        self.inner.capabilities()
    }

    async fn join(&self, request: JoinRequest) -> Result<Holder> {
        self.inner.join(request).await
    }

    async fn exchange(&self, exchange: Exchange) -> Result<Exchanged> {
        let number = self.exchanges.fetch_add(1, Ordering::Relaxed);
        let failed = || Error::new(ErrorKind::Unavailable, "exchange with the ledger");
        match self.fault.load(Ordering::Relaxed) {
            FAILS => Err(failed()),
            HANGS => std::future::pending().await,
            LOSES_ANSWERS if number.is_multiple_of(2) => {
                self.inner.exchange(exchange).await?;
                Err(failed())
            }
            _ => self.inner.exchange(exchange).await,
        }
    }

    async fn leave(&self, request: LeaveRequest) -> Result<()> {
        self.inner.leave(request).await
    }

    async fn balances(&self, budgets: &[BudgetId], now: u64) -> Result<Vec<Balance>> {
        self.inner.balances(budgets, now).await
    }

    async fn usage(&self, query: UsageQuery) -> Result<Vec<UsageRecord>> {
        self.inner.usage(query).await
    }
}

/// Calls one after the other until one is refused; how many were answered, and the kind of the refusal.
async fn calls_until_refused(gateway: &Gateway) -> (u64, ErrorKind) {
    let mut answered = 0;
    loop {
        match gateway.complete(ask("acme")).await {
            Ok(_) => answered += 1,
            Err(error) => return (answered, error.kind()),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_ledger_the_grant_is_spent_and_nothing_beyond() {
    let most = bound().await;
    for fault in [FAILS, HANGS] {
        let ledger = Faulty::default();
        let gateway = ledger.gateway(Usage::default(), most.tokens * 1_000);
        gateway.complete(ask("acme")).await.unwrap();
        ledger.set(fault);
        let (answered, kind) = calls_until_refused(&gateway).await;
        assert!((1..100).contains(&answered), "{answered}");
        assert_eq!(kind, ErrorKind::Unavailable);
        ledger.set(0);
        gateway.complete(ask("acme")).await.unwrap();
        gateway.close().await.unwrap();
        let spent = balance(&ledger).await;
        assert_eq!((spent.spent.tokens, spent.reserved.tokens), (most.tokens * (answered + 2), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_asked_for_again_and_counts_once() {
    let most = bound().await;
    let ledger = Faulty::default();
    ledger.set(LOSES_ANSWERS);
    let gateway = ledger.gateway(Usage::new(100, 30), most.tokens * 50);
    let (mut answered, start) = (0, Instant::now());
    while start.elapsed() < Duration::from_secs(60) {
        answered += u64::from(gateway.complete(ask("acme")).await.is_ok());
        sleep(Duration::from_millis(700)).await;
    }
    assert!(answered > 60, "{answered}");
    ledger.set(0);
    gateway.close().await.unwrap();
    assert_eq!(balance(&ledger).await.spent.tokens, answered * 130);
    let used = usage(&ledger).await;
    assert_eq!((used.calls, used.input_tokens), (answered, answered * 100));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_was_silent_for_too_long_begins_anew_and_its_usage_is_recorded() {
    let most = bound().await;
    let ledger = Faulty::default();
    let limit = most.tokens * 20;
    let gateway = ledger.gateway(Usage::new(100, 30), limit);
    gateway.complete(ask("acme")).await.unwrap();
    settled().await;
    ledger.set(FAILS);
    gateway.complete(ask("acme")).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    // Another one looks, and finds that the lease is over.
    let now = agentscale_core::time::ManualClock::UNIX_START + 60_000_000;
    ledger.join(JoinRequest::new(now, Duration::from_secs(15))).await.unwrap();
    let forfeited = balance(&ledger).await;
    assert!(forfeited.forfeited.tokens >= 130 && forfeited.reserved.tokens == 0, "{forfeited:?}");
    ledger.set(0);
    settled().await;
    gateway.complete(ask("acme")).await.unwrap();
    gateway.close().await.unwrap();
    assert_eq!(usage(&ledger).await.calls, 3, "what was used while it was silent is recorded");
    assert_eq!(balance(&ledger).await.spent.tokens, forfeited.spent.tokens + 130, "and is booked once");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_dies_forfeits_its_grant_and_overspends_nothing() {
    let most = bound().await;
    let ledger = Faulty::default();
    let limit = most.tokens * 10;
    let mut answered = 0;
    for _ in 0..20 {
        let gateway = ledger.gateway(Usage::default(), limit);
        answered += u64::from(gateway.complete(ask("acme")).await.is_ok());
        // Its task dies with the process, and tells nobody.
        drop(gateway);
        assert!(answered * most.tokens <= limit);
    }
    sleep(Duration::from_secs(31)).await;
    let now = agentscale_core::time::ManualClock::UNIX_START + 60_000_000;
    ledger.join(JoinRequest::new(now, Duration::from_secs(15))).await.unwrap();
    let left = balance(&ledger).await;
    assert!(left.spent.tokens >= answered * most.tokens && left.spent.tokens <= limit, "{left:?}");
    assert_eq!((left.reserved.tokens, left.forfeited), (0, left.spent));
}

#[tokio::test(start_paused = true)]
async fn two_gateways_spend_one_budget_together_and_nearly_all_of_it() {
    let most = bound().await;
    let ledger = Faulty::default();
    let limit = most.tokens * 100;
    let gateways = [(); 2].map(|()| ledger.gateway(Usage::new(100, 30), limit));
    // One has much to do, the other little.
    for call in 0..2_000_u64 {
        let gateway = &gateways[usize::from(call % 10 == 0)];
        drop(gateway.complete(ask("acme")).await);
        sleep(Duration::from_millis(50)).await;
    }
    for gateway in &gateways {
        gateway.close().await.unwrap();
    }
    let spent = balance(&ledger).await.spent.tokens;
    assert!(spent <= limit && spent >= limit * 95 / 100, "{spent} of {limit}");
    assert_eq!(spent, usage(&ledger).await.calls * 130);
}

#[tokio::test(start_paused = true)]
async fn two_gateways_come_back_to_a_budget_for_good_through_every_fault_and_spend_all_of_it() {
    let most = bound().await.tokens;
    let ledger = Faulty::default();
    let calls = 31;
    let lasting = Budget::for_each_tenant(BudgetPeriod::Forever, tokens(most + (calls - 1) * 130));
    let gateways = [(); 2].map(|()| {
        over([using(Usage::new(100, 30))], ledger.clone()).budget(lasting.clone()).build().unwrap()
    });
    let (mut answered, mut refused, mut rounds) = (0, 0, 0);
    while refused < gateways.len() {
        (refused, rounds) = (0, rounds + 1);
        assert!(rounds < 100, "it is never spent: {answered}");
        for gateway in &gateways {
            // What lay idle went back, and is forgotten.
            sleep(Duration::from_secs(600)).await;
            for fault in [FAILS, HANGS, LOSES_ANSWERS, 0] {
                ledger.set(fault);
                match gateway.complete(ask("acme")).await.map_err(|error| error.kind()) {
                    Ok(_) => answered += 1,
                    Err(ErrorKind::Unavailable) => assert_ne!(fault, 0, "it is there again"),
                    Err(kind) => {
                        assert_eq!(kind, ErrorKind::BudgetExceeded);
                        refused += usize::from(fault == 0);
                    }
                }
            }
        }
    }
    assert_eq!(answered, calls);
    let budget = BudgetId::at(BudgetScope::new(Some(tenant("acme"))), BudgetPeriod::Forever, 0);
    let spent = ledger.balances(&[budget], ManualClock::UNIX_START).await.unwrap()[0];
    assert_eq!((spent.spent.tokens, spent.forfeited.tokens), (calls * 130, 0));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_in_order_leaves_all_that_it_did_not_spend() {
    let most = bound().await;
    let ledger = Faulty::default();
    for spent in 1..=5 {
        let gateway = ledger.gateway(Usage::new(100, 30), most.tokens * 5);
        gateway.complete(ask("acme")).await.unwrap();
        gateway.close().await.unwrap();
        assert_eq!(gateway.complete(ask("acme")).await.unwrap_err().kind(), ErrorKind::Unavailable);
        let found = balance(&ledger).await;
        assert_eq!((found.spent.tokens, found.reserved.tokens, found.forfeited.tokens), (130 * spent, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn many_calls_at_once_ask_once() {
    let most = bound().await;
    let ledger = Faulty::default();
    let gateway = ledger.gateway(Usage::new(100, 30), most.tokens * 10_000);
    let calls = (0..1_000).map(|_| gateway.complete(ask("acme")));
    join_all(calls).await.into_iter().for_each(|answer| drop(answer.unwrap()));
    assert!(ledger.exchanges.load(Ordering::Relaxed) <= 3, "{:?}", ledger.exchanges);
    for _ in 0..1_000 {
        gateway.complete(ask("acme")).await.unwrap();
    }
    assert!(ledger.exchanges.load(Ordering::Relaxed) <= 10, "{:?}", ledger.exchanges);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_ledger_of_a_gateway_that_is_closed() {
    let ledger = Faulty::default();
    let gateway = ledger.gateway(Usage::new(100, 30), 1_000_000);
    ledger.set(HANGS);
    let calls: Vec<_> = (0..10)
        .map(|after| {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(after)).await;
                gateway.complete(ask("acme")).await
            })
        })
        .collect();
    sleep(Duration::from_millis(5)).await;
    assert_eq!(gateway.close().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let start = Instant::now();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert!(start.elapsed() <= Duration::from_secs(5), "{:?}", start.elapsed());
}

/// A gateway whose last call is not in the ledger yet, which has fenced it or will.
async fn with_an_unrecorded_call(ledger: &Faulty, fails: bool) -> Gateway {
    let gateway = ledger.gateway(Usage::new(100, 30), bound().await.tokens * 20);
    gateway.complete(ask("acme")).await.unwrap();
    settled().await;
    ledger.set(if fails { FAILS } else { 0 });
    gateway.complete(ask("acme")).await.unwrap();
    if fails {
        settled().await;
    }
    let now = agentscale_core::time::ManualClock::UNIX_START + 3_600_000_000;
    ledger.join(JoinRequest::new(now, Duration::from_secs(15))).await.unwrap();
    ledger.set(0);
    gateway
}

#[tokio::test(start_paused = true)]
async fn usage_that_the_lease_outlived_is_recorded_without_another_call() {
    let ledger = Faulty::default();
    let _gateway = with_an_unrecorded_call(&ledger, true).await;
    settled().await;
    settled().await;
    assert_eq!(usage(&ledger).await.calls, 2);
    for fails in [true, false] {
        let ledger = Faulty::default();
        let gateway = with_an_unrecorded_call(&ledger, fails).await;
        gateway.close().await.unwrap();
        assert_eq!(usage(&ledger).await.calls, 2, "{fails}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_could_not_close_can_close_again_and_loses_no_usage() {
    let ledger = Faulty::default();
    let gateway = ledger.gateway(Usage::new(100, 30), bound().await.tokens * 20);
    gateway.complete(ask("acme")).await.unwrap();
    ledger.set(FAILS);
    settled().await;
    gateway.complete(ask("acme")).await.unwrap();
    gateway.close().await.unwrap_err();
    ledger.set(0);
    gateway.close().await.unwrap();
    assert_eq!(usage(&ledger).await.calls, 2);
    assert_eq!(balance(&ledger).await.spent.tokens, 260);
}
