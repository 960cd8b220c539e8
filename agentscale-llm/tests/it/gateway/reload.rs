use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::llm::{Completion, FinishReason, LlmProvider, Message, Usage};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_llm::gateway::{Gateway, GatewayBuilder, GatewayModel, KeyLimits, KeyPool, ProviderKey};
use tokio::time::{Instant, sleep};

use super::scene::{answering, ask, assert_idle, builder, calls, pooled};

#[tokio::test(start_paused = true)]
async fn a_key_keeps_what_it_has_used_when_the_gateway_is_set_up_anew() {
    let provider = answering();
    let set_up = |requests| pooled([(provider.clone(), KeyLimits::new().with_requests(requests))]);
    let gateway = set_up(60).build().unwrap();
    for _ in 0..60 {
        gateway.complete(ask("acme")).await.unwrap();
    }
    for requests in [60, 120] {
        let start = Instant::now();
        gateway.reload(set_up(requests)).unwrap();
        gateway.complete(ask("acme")).await.unwrap();
        assert!(start.elapsed() >= Duration::from_millis(400), "{requests}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_and_in_line_go_on_and_end_in_the_new_limits() {
    let slow = || ScriptedProvider::new().with_delay(Duration::from_secs(1)).with_answer("a").repeating();
    let (old, new) = (slow(), slow());
    let set_up = |provider: &ScriptedProvider, calls| {
        pooled([(provider.clone(), KeyLimits::new().with_concurrency(calls))])
    };
    let gateway = set_up(&old, 1).build().unwrap();
    let ask = |after: u64| {
        let gateway = gateway.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(after)).await;
            gateway.complete(ask("acme")).await.unwrap();
        })
    };
    let running = [ask(0), ask(1), ask(600)];
    sleep(Duration::from_millis(500)).await;
    gateway.reload(set_up(&new, 2)).unwrap();
    let start = Instant::now();
    for call in running {
        call.await.unwrap();
    }
    assert_eq!(calls(&old), 2, "who was in line goes where it meant to");
    assert_eq!(calls(&new), 1);
    assert!(start.elapsed() <= Duration::from_millis(2_700), "{:?}", start.elapsed());
    gateway.complete(super::scene::ask("acme")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_work_changes_nothing() {
    let gateway = pooled([(answering(), KeyLimits::new())]).build().unwrap();
    let wrong = pooled([(answering(), KeyLimits::new())]).model(GatewayModel::new("n"));
    assert_eq!(gateway.reload(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
    gateway.complete(ask("acme").with_model("m")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_recorded_where_the_new_set_up_says() {
    use agentscale_core::metrics::Metrics;
    let hanging = ScriptedProvider::new().with_hang().repeating();
    let set_up = |metrics: &Metrics| {
        pooled([(hanging.clone(), KeyLimits::new().with_concurrency(1))]).metrics(metrics.clone())
    };
    let (before, after) = (Metrics::new(), Metrics::new());
    let gateway = set_up(&before).build().unwrap();
    let running: Vec<_> = (0..3)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.complete(ask("acme")).await })
        })
        .collect();
    sleep(Duration::from_millis(1)).await;
    let waiting = |metrics: &Metrics, calls| {
        let text = metrics.snapshot().to_openmetrics();
        assert!(text.contains(&format!("agentscale_gateway_waiting_calls {calls}\n")), "{text}");
    };
    waiting(&before, 2);
    gateway.reload(set_up(&after)).unwrap();
    waiting(&before, 0);
    waiting(&after, 2);
    running.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_was_refused_leaves_no_limits_behind() {
    let provider = answering();
    let set_up = |requests| pooled([(provider.clone(), KeyLimits::new().with_requests(requests))]);
    let gateway = set_up(60).build().unwrap();
    gateway.reload(set_up(30).model(GatewayModel::new("n"))).unwrap_err();
    for _ in 0..60 {
        gateway.complete(ask("acme")).await.unwrap();
    }
    let start = Instant::now();
    gateway.reload(set_up(120)).unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(400), "what was used counts: {:?}", start.elapsed());
    assert!(start.elapsed() <= Duration::from_millis(600), "by the new limit: {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn calls_in_line_go_by_the_new_limits_and_count_in_them() {
    let provider = answering();
    let set_up = |requests| pooled([(provider.clone(), KeyLimits::new().with_requests(requests))]);
    let gateway = set_up(60).build().unwrap();
    let calls = (0..90).map(|_| {
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.complete(ask("acme")).await })
    });
    let calls: Vec<_> = calls.collect();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(gateway.waiting(), 30);
    gateway.reload(set_up(120)).unwrap();
    let start = Instant::now();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // In 15 seconds 30 of 120 have flowed in, and 30 were taken.
    let (waited, share) = (start.elapsed().as_secs_f64(), gateway.keys()[0].free_share);
    assert!((14.9..15.2).contains(&waited) && share < 0.02, "{waited} {share}");
}

/// A pool of keys `k0`, `k1`, of which those with a name of a quota share it.
fn sharing(
    providers: &[ScriptedProvider; 2],
    quotas: [Option<&str>; 2],
    limits: &KeyLimits,
) -> GatewayBuilder {
    let keys = providers.iter().zip(quotas).enumerate().map(|(place, (provider, quota))| {
        let key = ProviderKey::new(format!("k{place}"), provider.clone()).with_limits(limits.clone());
        quota.into_iter().fold(key, ProviderKey::with_quota)
    });
    let pool = keys.fold(KeyPool::new("p"), KeyPool::key);
    builder().pool(pool).model(GatewayModel::new("m").via("p", ""))
}

const SHARED: [Option<&str>; 2] = [Some("org"), Some("org")];

/// How many calls go at once.
async fn at_once(gateway: &Gateway) -> usize {
    let start = Instant::now();
    for calls in 0.. {
        gateway.complete(ask("acme")).await.unwrap();
        if start.elapsed() > Duration::ZERO {
            return calls;
        }
    }
    unreachable!("a minute's worth has an end")
}

#[tokio::test(start_paused = true)]
async fn keys_that_part_have_a_quota_each_with_what_was_used_of_the_one_they_had() {
    for (before, after) in [(60, 60), (60, 50)] {
        let providers = [answering(), answering()];
        let limits = |requests| KeyLimits::new().with_requests(requests);
        let gateway = sharing(&providers, SHARED, &limits(before)).build().unwrap();
        for _ in 0..40 {
            gateway.complete(ask("acme")).await.unwrap();
        }
        gateway.reload(sharing(&providers, [None, None], &limits(after))).unwrap();
        assert_eq!(at_once(&gateway).await, 40, "{after}: 20 of each");
        // A minute later each has its own.
        sleep(Duration::from_secs(70)).await;
        let each = usize::try_from(after).unwrap();
        assert_eq!(at_once(&gateway).await, 2 * each, "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_call_owes_that_began_before_its_keys_parted_both_owe() {
    let answer = Completion::new(Message::assistant("a"), FinishReason::Stop, Usage::new(1, 5_000), "m");
    let late = ScriptedProvider::new().with_delay(Duration::from_secs(1)).with_completion(answer).repeating();
    let providers = [late.clone(), late];
    let limits = |tokens| KeyLimits::new().with_output_tokens(tokens).with_concurrency(2);
    let gateway = sharing(&providers, SHARED, &limits(600)).build().unwrap();
    let running = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.complete(ask("acme").with_max_tokens(1)).await }
    });
    sleep(Duration::from_millis(500)).await;
    gateway.reload(sharing(&providers, [None, None], &limits(1_000))).unwrap();
    assert!(gateway.keys().iter().all(|key| key.free_share > 0.0 && key.in_flight == 1));
    running.await.unwrap().unwrap();
    assert!(gateway.keys().iter().all(|key| key.free_share == 0.0), "{:?}", gateway.keys());
    assert_idle(&gateway);
}

#[tokio::test(start_paused = true)]
async fn keys_that_come_together_have_used_of_one_quota_what_both_had_used() {
    let providers = [answering(), answering()];
    let limits = KeyLimits::new().with_requests(60);
    let gateway = sharing(&providers, [None, None], &limits).build().unwrap();
    for _ in 0..80 {
        gateway.complete(ask("acme")).await.unwrap();
    }
    gateway.reload(sharing(&providers, SHARED, &limits)).unwrap();
    let start = Instant::now();
    gateway.complete(ask("acme")).await.unwrap();
    let waited = start.elapsed().as_secs_f64();
    assert!((20.9..21.2).contains(&waited), "80 of 60, and one more: {waited}");
}

#[tokio::test(start_paused = true)]
async fn a_call_in_line_goes_by_the_quota_that_its_key_has_now() {
    let providers = [answering(), answering()];
    let limits = |requests| KeyLimits::new().with_requests(requests);
    let gateway = sharing(&providers, SHARED, &limits(6)).build().unwrap();
    for _ in 0..6 {
        gateway.complete(ask("acme")).await.unwrap();
    }
    let start = Instant::now();
    let waiting = tokio::spawn({
        let gateway = gateway.clone();
        async move { gateway.complete(ask("acme")).await }
    });
    sleep(Duration::from_millis(1)).await;
    gateway.reload(sharing(&providers, [None, None], &limits(600))).unwrap();
    waiting.await.unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let shares: Vec<_> = gateway.keys().iter().map(|key| key.free_share).collect();
    assert_ne!(shares[0], shares[1], "one of the keys has paid for it: {shares:?}");
}
