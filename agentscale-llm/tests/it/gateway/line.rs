use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale_core::llm::{Completion, CompletionRequest, FinishReason, LlmProvider, Message, Usage};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::time::ManualClock;
use agentscale_core::{Deadline, ErrorKind, Priority};
use agentscale_llm::gateway::{Gateway, GatewayConfig, GatewayModel, KeyLimits, KeyPool, ProviderKey};
use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::scene::{answering, ask, ask_as, builder, calls, pooled};

fn slow(limits: KeyLimits, config: GatewayConfig) -> (ScriptedProvider, Gateway) {
    let provider = ScriptedProvider::new().with_delay(Duration::from_secs(1)).with_answer("a").repeating();
    let gateway = pooled([(provider.clone(), limits)]).config(config).build().unwrap();
    (provider, gateway)
}

#[tokio::test(start_paused = true)]
async fn who_waits_goes_by_class_and_then_in_turn() {
    let (_, gateway) = slow(KeyLimits::new().with_concurrency(1), GatewayConfig::new());
    let order = Arc::new(Mutex::new(Vec::new()));
    let classes = [
        Priority::Conversation,
        Priority::Evaluation,
        Priority::Scheduled,
        Priority::Incident,
        Priority::Conversation,
    ];
    let running = classes.into_iter().enumerate().map(|(place, class)| {
        let (gateway, order) = (gateway.clone(), Arc::clone(&order));
        tokio::spawn(async move {
            sleep(Duration::from_millis(place as u64)).await;
            gateway.complete(ask_as("acme", class)).await.unwrap();
            order.lock().unwrap().push(place);
        })
    });
    for done in join_all(running).await {
        done.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 3, 4, 2, 1]);
    assert_eq!(gateway.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_loud_tenant_does_not_hold_up_the_others() {
    let (_, gateway) = slow(KeyLimits::new().with_concurrency(1), GatewayConfig::new());
    let loud: Vec<_> = (0..50)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.complete(ask("loud")).await })
        })
        .collect();
    sleep(Duration::from_millis(10)).await;
    let start = Instant::now();
    gateway.complete(ask("quiet")).await.unwrap();
    assert!(start.elapsed() <= Duration::from_secs(3), "{:?}", start.elapsed());
    loud.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_leaves_the_line_and_its_place() {
    let (provider, gateway) = slow(KeyLimits::new().with_concurrency(1), GatewayConfig::new());
    let first = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.complete(ask("acme")).await }
    });
    sleep(Duration::from_millis(10)).await;
    let waiting = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.complete(ask("acme")).await }
    });
    sleep(Duration::from_millis(10)).await;
    assert_eq!(gateway.waiting(), 1);
    waiting.abort();
    waiting.await.unwrap_err();
    assert_eq!(gateway.waiting(), 0);
    first.abort();
    first.await.unwrap_err();
    let start = Instant::now();
    gateway.complete(ask("acme")).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1), "the key was free at once");
    assert_eq!(calls(&provider), 2);
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_the_lowest_class() {
    let mut config = GatewayConfig::new();
    config.reject_above = 2;
    let (_, gateway) = slow(KeyLimits::new().with_concurrency(1), config);
    let ask = |class: Priority, after: u64| {
        let gateway = gateway.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(after)).await;
            gateway.complete(ask_as("acme", class)).await.map(drop).map_err(|error| error.kind())
        })
    };
    let running = [
        ask(Priority::Conversation, 0),
        ask(Priority::Evaluation, 1),
        ask(Priority::Scheduled, 2),
        ask(Priority::Supervised, 3),
        ask(Priority::Evaluation, 4),
    ];
    let answers: Vec<_> = join_all(running).await.into_iter().map(Result::unwrap).collect();
    let refused = Err(ErrorKind::Overloaded);
    assert_eq!(answers, [Ok(()), refused, Ok(()), Ok(()), refused]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_would_wait_beyond_its_deadline_is_refused_at_once_with_the_wait() {
    let provider = answering();
    let gateway = pooled([(provider, KeyLimits::new().with_requests(60))]).build().unwrap();
    for _ in 0..60 {
        gateway.complete(ask("acme")).await.unwrap();
    }
    let within = |wait| {
        let mut request = ask("acme");
        request.context.deadline = Some(Deadline::after(ManualClock::UNIX_START, wait));
        request
    };
    let start = Instant::now();
    let error = gateway.complete(within(Duration::from_millis(500))).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Overloaded, Duration::ZERO));
    let wait = error.retry_after().unwrap();
    assert!(wait > Duration::from_millis(990) && wait <= Duration::from_secs(1), "{wait:?}");
    gateway.complete(within(Duration::from_secs(2))).await.unwrap();

    sleep(Duration::from_secs(10)).await;
    let late = gateway.complete(within(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_so() {
    let provider = ScriptedProvider::new().with_hang().repeating();
    let mut config = GatewayConfig::new();
    config.max_wait_ms = 5_000;
    let gateway = pooled([(provider, KeyLimits::new().with_concurrency(1))]).config(config).build().unwrap();
    let hanging = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.complete(ask("acme")).await }
    });
    sleep(Duration::from_millis(10)).await;
    let start = Instant::now();
    let error = gateway.complete(ask("acme")).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::DeadlineExceeded, 5));
    hanging.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_counts_for_who_comes_while_others_wait() {
    let of = |output| {
        let answer = Message::assistant("a");
        Completion::new(answer, FinishReason::Stop, Usage::new(1, output), "m")
    };
    let provider = ScriptedProvider::new().with_completion(of(1_200)).with_completion(of(1)).repeating();
    let mut config = GatewayConfig::new();
    config.max_wait_ms = 600_000;
    let gateway = pooled([(provider, KeyLimits::new().with_output_tokens(600))]).config(config);
    let gateway = gateway.build().unwrap();
    gateway.complete(ask("acme").with_max_tokens(1)).await.unwrap();
    let first = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.complete(ask("acme").with_max_tokens(1)).await }
    });
    sleep(Duration::from_millis(1)).await;
    assert_eq!(gateway.waiting(), 1);
    let mut request = ask_as("other", Priority::Incident).with_max_tokens(1);
    request.context.deadline = Some(Deadline::after(ManualClock::UNIX_START, Duration::from_secs(30)));
    let start = Instant::now();
    let error = gateway.complete(request).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Overloaded, Duration::ZERO));
    assert!(error.retry_after().unwrap() > Duration::from_secs(59), "{error:?}");
    first.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_nobody_whose_keys_are_free() {
    let mut config = GatewayConfig::new();
    config.reject_above = 2;
    let hanging = ScriptedProvider::new().with_hang().repeating();
    let limits = KeyLimits::new().with_concurrency(1);
    let gateway = builder()
        .config(config)
        .pool(KeyPool::new("busy").key(ProviderKey::new("b", hanging).with_limits(limits)))
        .pool(KeyPool::new("free").key(ProviderKey::new("f", answering())))
        .model(GatewayModel::new("m").via("busy", ""))
        .model(GatewayModel::new("n").via("free", ""))
        .build()
        .unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.complete(ask("acme").with_model("m")).await })
        })
        .collect();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(gateway.waiting(), 2);
    for class in [Priority::Evaluation, Priority::Incident] {
        gateway.complete(ask_as("other", class).with_model("n")).await.unwrap();
    }
    assert_eq!(gateway.waiting(), 2, "and nobody had to go for them");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_lets_the_smaller_behind_it_go_at_once() {
    let provider = ScriptedProvider::new().with_hang().with_answer("ten seconds");
    let limits = KeyLimits::new().with_input_tokens(6_000);
    let gateway = pooled([(provider, limits)]).build().unwrap();
    let ask = |bytes: usize| {
        let gateway = gateway.clone();
        let request = CompletionRequest::new(vec![Message::user("x".repeat(bytes))]).with_max_tokens(10);
        tokio::spawn(async move { gateway.complete(request).await })
    };
    let mut calls = Vec::new();
    for bytes in [15_000, 4_500, 30] {
        calls.push(ask(bytes));
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(gateway.waiting(), 2);
    let start = Instant::now();
    calls[1].abort();
    calls.pop().unwrap().await.unwrap().unwrap();
    assert!(start.elapsed() <= Duration::from_millis(10), "{:?}", start.elapsed());
    calls[0].abort();
}
