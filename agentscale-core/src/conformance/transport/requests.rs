//! How requests end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::TransportHarness;
use super::scene::{QUIET, Scene, assert_kind, assert_quiet, next, readers, workers};
use crate::time::Clock;
use crate::transport::{DEFAULT_REQUEST_TIMEOUT, Delivery, Transport};
use crate::{Deadline, Error, ErrorKind, Retry};

/// The reply of the receiver, with its header.
pub async fn a_request_gets_its_reply(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers()).await;
    let question = scene.question("why?");
    let asked = scene.ask(question.clone());
    let mut delivery = next(&mut subscriber).await;
    assert_eq!(delivery.message, question);
    assert!(delivery.wants_reply() && !delivery.is_abandoned());
    let reply = scene.reply_to(&delivery, "because");
    assert!(delivery.respond(Ok(reply.clone())));
    assert!(!delivery.respond(Ok(reply.clone())), "a request is answered once");
    assert_eq!(asked.await.expect("no panic").expect("a reply"), reply);
}

/// Kind, retry, wait and context arrive.
pub async fn the_error_of_the_receiver_keeps_its_kind(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers()).await;
    let asked = scene.ask(scene.question("too much?"));
    let mut delivery = next(&mut subscriber).await;
    let refusal = Error::new(ErrorKind::RateLimited, "answer question")
        .with_context("limit", 7)
        .with_retry_after(Duration::from_secs(3));
    assert!(delivery.respond(Err(refusal)));
    let error = asked.await.expect("no panic").expect_err("the receiver's error");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::RateLimited, Retry::Later));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!((error.operation(), error.context("limit")), ("answer question", Some("7")));
}

/// `deadline_exceeded`, neither before nor much after it.
pub async fn a_request_ends_by_its_deadline(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers()).await;
    let begun = Instant::now();
    let deadline = scene.deadline_in(Duration::from_millis(300));
    let asked = scene.ask(scene.question("slow?").with_deadline(deadline));
    let delivery = next(&mut subscriber).await;
    assert_kind(asked.await.expect("no panic"), ErrorKind::DeadlineExceeded);
    assert_about(begun.elapsed(), Duration::from_millis(300));
    abandoned(&delivery).await;
}

/// The default holds where no deadline is set.
pub async fn a_request_without_a_deadline_ends_after_thirty_seconds(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers()).await;
    let begun = Instant::now();
    let asked = scene.ask(scene.question("never?"));
    let _held = next(&mut subscriber).await;
    assert_kind(asked.await.expect("no panic"), ErrorKind::DeadlineExceeded);
    assert_about(begun.elapsed(), DEFAULT_REQUEST_TIMEOUT);
}

/// `deadline_exceeded` for send, request and publish; nobody sees the message.
pub async fn a_deadline_in_the_past_is_exceeded_without_a_delivery(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let (mut worker, mut reader) = (scene.subscribe(workers()).await, scene.subscribe(readers()).await);
    let past = Deadline(scene.clock.unix_micros() - 1);
    let transport = scene.transport();
    assert_kind(transport.send(scene.job("late").with_deadline(past)).await, ErrorKind::DeadlineExceeded);
    assert_kind(
        transport.request(scene.question("late").with_deadline(past)).await,
        ErrorKind::DeadlineExceeded,
    );
    assert_kind(transport.publish(scene.news("late").with_deadline(past)).await, ErrorKind::DeadlineExceeded);
    assert_quiet(&mut worker).await;
    assert_quiet(&mut reader).await;
}

/// `unavailable` at once, whether the delivery is dropped, its duty to answer, or the mailbox that holds it.
pub async fn a_request_that_its_receiver_drops_is_unavailable(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers()).await;
    let begun = Instant::now();
    let asked = scene.ask(scene.question("dropped?"));
    drop(next(&mut subscriber).await);
    assert_kind(asked.await.expect("no panic"), ErrorKind::Unavailable);
    let asked = scene.ask(scene.question("taken and dropped?"));
    let mut delivery = next(&mut subscriber).await;
    drop(delivery.take_reply_to());
    assert_kind(asked.await.expect("no panic"), ErrorKind::Unavailable);
    let asked = scene.ask(scene.question("never read?"));
    sleep(QUIET).await;
    drop(subscriber);
    assert_kind(asked.await.expect("no panic"), ErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(10), "nobody waits for a deadline");
}

/// The receiver can wait for it and stop.
pub async fn the_receiver_sees_that_a_dropped_request_is_abandoned(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers()).await;
    let asked = scene.ask(scene.question("still there?"));
    let mut delivery = next(&mut subscriber).await;
    assert!(!delivery.is_abandoned());
    asked.abort();
    let mut reply_to = delivery.take_reply_to().expect("a request wants a reply");
    reply_to.abandoned().await;
    assert!(reply_to.is_abandoned());
}

/// The receiver is told that nobody waits, and the transport counts it.
pub async fn a_late_reply_is_dropped_and_counted(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers()).await;
    let deadline = scene.deadline_in(Duration::from_millis(100));
    let asked = scene.ask(scene.question("late?").with_deadline(deadline));
    let mut delivery = next(&mut subscriber).await;
    assert_kind(asked.await.expect("no panic"), ErrorKind::DeadlineExceeded);
    assert_eq!(scene.under_test.probe.stats().await.late_replies, 0);
    abandoned(&delivery).await;
    let reply = scene.reply_to(&delivery, "too late");
    assert!(!delivery.respond(Ok(reply)));
    assert_eq!(scene.under_test.probe.stats().await.late_replies, 1);
    let asked = scene.ask(scene.question("in time?"));
    let mut delivery = next(&mut subscriber).await;
    sleep(Duration::from_millis(100)).await;
    let reply = scene.reply_to(&delivery, "in time");
    assert!(delivery.respond(Ok(reply)));
    assert_eq!(*asked.await.expect("no panic").expect("a reply").body::<String>().expect("text"), "in time");
    assert_eq!(scene.under_test.probe.stats().await.late_replies, 1);
}

/// Waits until the receiver knows: one in another process hears of it a moment later.
async fn abandoned(delivery: &Delivery) {
    let begun = Instant::now();
    while !delivery.is_abandoned() {
        assert!(begun.elapsed() < Duration::from_secs(2), "the receiver is not told");
        sleep(Duration::from_millis(5)).await;
    }
}

#[track_caller]
fn assert_about(took: Duration, promised: Duration) {
    let slack = Duration::from_secs(2);
    assert!(took + Duration::from_millis(2) >= promised, "ended early, after {took:?}");
    assert!(took <= promised + slack, "ended late, after {took:?}");
}
