use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::llm::LlmProvider;
use agentscale_core::testkit::ScriptedProvider;
use agentscale_llm::gateway::{GatewayModel, KeyLimits};
use tokio::time::{Instant, sleep};

use super::scene::{answering, ask, calls, pooled};

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
async fn what_calls_in_line_take_of_the_limits_before_counts_in_the_new() {
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
    for call in calls {
        call.await.unwrap().unwrap();
    }
    // In 30 seconds 60 of 120 have flowed in, and 30 were taken.
    let share = gateway.keys()[0].free_share;
    assert!((0.2..0.3).contains(&share), "{share}");
}
