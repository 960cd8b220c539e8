use std::time::Duration;

use agentscale_core::layers::{Layer, Service, TimeoutConfig, TimeoutLayer};
use agentscale_core::{ErrorKind, Retry};
use futures::FutureExt;
use tokio::time::Instant;
use tower::ServiceExt;

use super::{Scripted, unavailable};

fn limit(secs: u64) -> TimeoutLayer {
    TimeoutLayer::new(TimeoutConfig { after: Duration::from_secs(secs) }).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_its_limit_ends_there_as_deadline_exceeded() {
    let begun = Instant::now();
    let service = limit(3).layer(Scripted::new([Ok("late")]).taking(Duration::from_secs(3_600)));
    let error = service.oneshot(()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::DeadlineExceeded, Retry::Later));
    assert_eq!(error.context("timeout_ms"), Some("3000"));
    assert_eq!(begun.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_within_its_limit_keeps_its_answer_and_its_error() {
    let slow = Scripted::new([Ok("in time")]).taking(Duration::from_secs(2));
    assert_eq!(limit(3).layer(slow).oneshot(()).await.unwrap(), "in time");
    let error = limit(3).layer(Scripted::new([Err(unavailable())])).oneshot(()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn the_shortest_limit_still_takes_an_answer_that_is_there() {
    let shortest = TimeoutLayer::new(TimeoutConfig { after: Duration::from_nanos(1) }).unwrap();
    assert_eq!(shortest.layer(Scripted::new([Ok("at once")])).oneshot(()).await.unwrap(), "at once");
}

#[test]
fn a_call_that_is_ready_at_its_first_poll_arms_no_timer() {
    // A tokio timer outside a runtime panics.
    let service = limit(u64::MAX).layer(Scripted::new([Ok("no runtime needed")]));
    assert_eq!(service.oneshot(()).now_or_never().unwrap().unwrap(), "no runtime needed");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_took_too_long_is_dropped_at_the_limit_though_the_future_lives_on() {
    let alive = std::sync::Arc::new(());
    let held = alive.clone();
    let hanging = tower::service_fn(move |()| {
        let held = held.clone();
        async move {
            std::future::pending::<()>().await;
            drop(held);
            Ok::<_, agentscale_core::Error>(())
        }
    });
    let before = std::sync::Arc::strong_count(&alive);
    let mut service = limit(3).layer(hanging);
    let mut call = Box::pin(service.call(()));
    assert_eq!((&mut call).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(std::sync::Arc::strong_count(&alive), before);
    drop(call);
}
