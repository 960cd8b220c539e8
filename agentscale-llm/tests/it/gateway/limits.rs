use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::llm::{
    Completion, CompletionRequest, FinishReason, LimitedUnit, LlmProvider, Message, PromptCache, RateLimit,
    RateLimits, Usage,
};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_llm::SimulatedProvider;
use agentscale_llm::gateway::{
    Gateway, GatewayConfig, GatewayModel, KeyChoice, KeyLimits, KeyPool, ProviderKey,
};
use futures::future::join_all;
use tokio::time::Instant;

use super::limited::Unit;
use super::scene::{answering, ask, calls, pooled};

#[tokio::test(start_paused = true)]
async fn keys_with_room_take_turns() {
    let keys: Vec<_> = (0..3).map(|_| answering()).collect();
    let gateway = super::scene::over(keys.clone());
    for _ in 0..30 {
        gateway.complete(ask("acme")).await.unwrap();
    }
    assert_eq!(keys.iter().map(calls).collect::<Vec<_>>(), [10, 10, 10]);
}

#[tokio::test(start_paused = true)]
async fn of_two_keys_that_are_free_the_one_that_fails_is_chosen_less() {
    let keys = [super::scene::failing(ErrorKind::Unavailable), answering()];
    let mut config = GatewayConfig::new();
    config.failures_to_leave = u16::MAX;
    let pool = KeyPool::new("p").with_choice(KeyChoice::TwoChoices);
    let pool = keys
        .iter()
        .enumerate()
        .fold(pool, |pool, (place, key)| pool.key(ProviderKey::new(format!("k{place}"), key.clone())));
    let gateway = super::scene::builder().config(config).pool(pool);
    let gateway = gateway.model(GatewayModel::new("m").via("p", "")).build().unwrap();
    for _ in 0..400 {
        // Every call that meets the first key fails.
        drop(gateway.complete(ask("acme")).await);
    }
    // Where both draws are the same key there is no choice: of four, one.
    let failed = calls(&keys[0]);
    assert!((50..160).contains(&failed), "{failed} of 400");
}

#[tokio::test(start_paused = true)]
async fn a_session_stays_with_its_key_while_that_has_room() {
    let keys: Vec<_> = (0..4).map(|_| answering()).collect();
    let limits = KeyLimits::new().with_requests(20);
    let gateway = pooled(keys.iter().map(|key| (key.clone(), limits.clone()))).build().unwrap();
    let mut request = ask("acme");
    request.context.session = Some("agent/alice".to_owned());
    for _ in 0..20 {
        gateway.complete(request.clone()).await.unwrap();
    }
    let mut spread: Vec<_> = keys.iter().map(calls).collect();
    spread.sort_unstable();
    assert_eq!(spread, [0, 0, 0, 20]);
    gateway.complete(request).await.unwrap();
    assert_eq!(keys.iter().map(calls).sum::<usize>(), 21, "without room there the next key takes it at once");
}

/// A request of a tenant whose prompt begins so.
type Begin = fn(&str, &str) -> CompletionRequest;

#[tokio::test(start_paused = true)]
async fn prompts_that_begin_alike_stay_with_one_key_and_those_of_another_tenant_need_not() {
    let by_key: Begin = |tenant, name| ask(tenant).with_prompt_cache(PromptCache::new().with_key(name));
    let by_breakpoint: Begin = |tenant, rules| {
        let mut request = ask(tenant);
        request.messages.insert(0, Message::system(rules).with_cache_breakpoint());
        request
    };
    for asked in [by_key, by_breakpoint] {
        let keys: Vec<_> = (0..8).map(|_| answering()).collect();
        let gateway = super::scene::over(keys.clone());
        for question in 0..20 {
            let mut request = asked("acme", "the rules of the house");
            request.messages.push(Message::user(format!("question {question}")));
            gateway.complete(request).await.unwrap();
        }
        let used = || keys.iter().filter(|key| calls(key) > 0).count();
        assert_eq!(used(), 1);
        for number in 0..20 {
            gateway.complete(asked(&format!("tenant-{number}"), "the rules of the house")).await.unwrap();
            gateway.complete(asked("acme", &format!("rules {number}"))).await.unwrap();
        }
        assert!(used() > 4, "{} of 8 keys", used());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_what_its_key_may_do_a_minute() {
    let provider = answering();
    let gateway = pooled([(provider.clone(), KeyLimits::new().with_requests(60))]).build().unwrap();
    let start = Instant::now();
    for call in 1..=70_u32 {
        gateway.complete(ask("acme")).await.unwrap();
        let expected = Duration::from_secs(u64::from(call.saturating_sub(60)));
        assert!(
            start.elapsed() >= expected && start.elapsed() < expected + Duration::from_millis(50),
            "{call}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_call_did_not_use_is_there_for_the_next_and_what_it_used_beyond_is_owed() {
    let of = |input, output| {
        Completion::new(Message::assistant("a"), FinishReason::Stop, Usage::new(input, output), "m")
    };
    let provider = ScriptedProvider::new()
        .with_completion(of(10, 10))
        .with_completion(of(10, 10))
        .with_completion(of(10, 1_500))
        .with_answer("late");
    let mut config = GatewayConfig::new();
    config.max_wait_ms = 600_000;
    let gateway =
        pooled([(provider, KeyLimits::new().with_output_tokens(600))]).config(config).build().unwrap();
    let start = Instant::now();
    // Each call may use all that the key has; the first two use a little of it.
    for _ in 0..3 {
        gateway.complete(ask("acme").with_max_tokens(560)).await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    gateway.complete(ask("acme").with_max_tokens(1)).await.unwrap();
    let owed = start.elapsed().as_secs_f64();
    assert!((92.0..93.5).contains(&owed), "920 tokens of debt at ten a second: {owed}");
}

#[tokio::test(start_paused = true)]
async fn tokens_together_are_taken_by_the_longest_answer_and_not_given_back() {
    let provider = answering();
    let gateway = pooled([(provider, KeyLimits::new().with_tokens(6_000))]).build().unwrap();
    let start = Instant::now();
    for _ in 0..4 {
        gateway.complete(ask("acme").with_max_tokens(2_000)).await.unwrap();
    }
    let waited = start.elapsed().as_secs_f64();
    assert!((20.0..24.0).contains(&waited), "8,000 and a little of 6,000 at 100 a second: {waited}");
}

#[tokio::test(start_paused = true)]
async fn cached_input_counts_unless_the_provider_gives_it_free() {
    let cached = Usage::new(500, 10).with_cached(480);
    let answer = Completion::new(Message::assistant("a"), FinishReason::Stop, cached, "m");
    let limits = KeyLimits::new().with_input_tokens(600);
    for (limits, seconds) in [(limits.clone(), 40..200), (limits.with_free_cached_input(), 0..1)] {
        let provider = ScriptedProvider::new().with_completion(answer.clone()).repeating();
        let mut config = GatewayConfig::new();
        config.max_wait_ms = 600_000;
        let gateway = pooled([(provider, limits)]).config(config).build().unwrap();
        let start = Instant::now();
        for _ in 0..3 {
            gateway.complete(ask("acme")).await.unwrap();
        }
        assert!(seconds.contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_says_of_its_limits_lowers_the_view() {
    let told = RateLimits::new(vec![RateLimit::new(LimitedUnit::Requests).with_remaining(1)]);
    let answer = Completion::new(Message::assistant("a"), FinishReason::Stop, Usage::new(1, 1), "m");
    let provider =
        ScriptedProvider::new().with_completion(answer.with_rate_limits(told)).with_answer("b").repeating();
    let gateway = pooled([(provider, KeyLimits::new().with_requests(60))]).build().unwrap();
    let start = Instant::now();
    for _ in 0..2 {
        gateway.complete(ask("acme")).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    gateway.complete(ask("acme")).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(999), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn three_keys_do_three_times_the_work_of_one() {
    for unit in Unit::ALL {
        let calls_in_five_minutes = |keys: u64| async move {
            let (limits, mut config) = unit.limits(600).await;
            config.first_token_ms = 200;
            let providers =
                (0..keys).map(|_| (SimulatedProvider::new(config.clone()).unwrap(), limits.clone()));
            let gateway = pooled(providers).build().unwrap();
            served_in(&gateway, Duration::from_secs(300), 400).await
        };
        let (one, three) = (calls_in_five_minutes(1).await, calls_in_five_minutes(3).await);
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let ratio = three as f64 / one as f64;
        assert!((2.85..=3.15).contains(&ratio), "{unit:?}: {one} {three}");
    }
}

/// Calls a minute, and callers: more than are answered in the time of one answer.
const BACKLOGS: [(Unit, u32, usize); 3] =
    [(Unit::Requests, 25_000, 3_000), (Unit::Input, 2_500, 300), (Unit::Output, 2_500, 300)];

#[tokio::test(start_paused = true)]
async fn under_backlog_the_quota_is_used_up_and_no_call_is_limited_by_the_provider() {
    for (unit, a_minute, callers) in BACKLOGS {
        let (limits, mut config) = unit.limits(a_minute).await;
        config.first_token_ms = 300;
        config.first_token_sigma = 0.5;
        config.token_us = 10_000;
        let provider = SimulatedProvider::new(config).unwrap();
        let mut config = GatewayConfig::new();
        config.reject_above = callers;
        let gateway = pooled([(provider.clone(), limits)]).config(config).build().unwrap();
        let minutes = 3;
        // One that was limited would be an error here: there is no other key.
        let served = served_in(&gateway, Duration::from_secs(minutes * 60), callers).await;
        // A full bucket at the start and what flowed in.
        let (most, sent) = (u64::from(a_minute) * (minutes + 1), provider.calls());
        assert!(sent >= most * 98 / 100 && sent <= most * 101 / 100, "{unit:?}: {sent} of {most}");
        assert!(
            sent - served <= callers as u64,
            "all but those on their way were answered: {unit:?}: {served} of {sent}"
        );
    }
}

const TENANTS: usize = 7;

/// How many calls are answered in a time, with so many callers that always ask again.
async fn served_in(gateway: &Gateway, time: Duration, callers: usize) -> u64 {
    // What a call uses is learned: before that the line refuses who seems to come too late.
    for tenant in 0..TENANTS {
        gateway.complete(ask(&format!("t{tenant}"))).await.unwrap();
    }
    let until = Instant::now() + time;
    let callers = (0..callers).map(|caller| async move {
        let mut served = 0;
        while Instant::now() < until {
            let answer =
                tokio::time::timeout_at(until, gateway.complete(ask(&format!("t{}", caller % TENANTS))))
                    .await;
            match answer {
                Ok(answer) => served += answer.map(|_| 1_u64).unwrap(),
                Err(_) => break,
            }
        }
        served
    });
    join_all(callers).await.into_iter().sum()
}
