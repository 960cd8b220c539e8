//! What comes again, and when it stops.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::scene::{Scene, assert_quiet, body, next, readers, workers};
use super::{TransportHarness, TransportSettings};
use crate::time::Clock;
use crate::transport::MailboxLimits;
use crate::{Error, ErrorKind};

const SETTINGS: TransportSettings = TransportSettings::SUITE;

/// `ack` ends it.
pub async fn an_acknowledged_delivery_never_comes_again(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers().acknowledged()).await;
    scene.send(scene.job("once")).await;
    next(&mut subscriber).await.ack();
    sleep(SETTINGS.ack_wait * 3).await;
    assert_quiet(&mut subscriber).await;
    let stats = scene.under_test.probe.stats().await;
    assert_eq!((stats.redelivered, stats.dead_lettered), (0, 0));
}

/// `nak` says when.
pub async fn a_delivery_given_back_comes_again_after_its_delay(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers().acknowledged()).await;
    let sent = scene.job("later");
    scene.send(sent.clone()).await;
    let first = next(&mut subscriber).await;
    assert_eq!(first.attempt, 1);
    let begun = Instant::now();
    first.nak(Duration::from_secs(2));
    let second = next(&mut subscriber).await;
    assert!(begun.elapsed() >= Duration::from_millis(1_950), "came early, after {:?}", begun.elapsed());
    assert_eq!((&second.message, second.attempt), (&sent, 2));
    second.ack();
    assert_eq!(scene.under_test.probe.stats().await.redelivered, 1);
}

/// Without waiting for the silence to end.
pub async fn a_dropped_delivery_comes_again(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(readers().acknowledged()).await;
    scene.publish(scene.news("dropped")).await;
    drop(next(&mut subscriber).await);
    let dropped = Instant::now();
    let again = next(&mut subscriber).await;
    assert!(dropped.elapsed() < SETTINGS.ack_wait, "came late, after {:?}", dropped.elapsed());
    assert_eq!((body(&again).as_str(), again.attempt), ("dropped", 2));
    again.ack();
    assert_quiet(&mut subscriber).await;
}

/// A receiver that hangs does not keep the message for ever.
pub async fn a_silent_delivery_comes_again_after_the_ack_wait(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers().acknowledged()).await;
    let begun = Instant::now();
    scene.send(scene.job("silent")).await;
    let held = next(&mut subscriber).await;
    let again = next(&mut subscriber).await;
    assert!(begun.elapsed() >= SETTINGS.ack_wait.mul_f32(0.9), "came early, after {:?}", begun.elapsed());
    assert_eq!((again.message.id, again.attempt), (held.message.id, 2));
    again.ack();
    drop(held);
    assert_quiet(&mut subscriber).await;
}

/// `in_progress` starts the wait anew.
pub async fn progress_holds_the_next_delivery_off(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers().acknowledged()).await;
    scene.send(scene.job("long work")).await;
    let delivery = next(&mut subscriber).await;
    for _ in 0..6 {
        sleep(SETTINGS.ack_wait / 2).await;
        assert!(subscriber.try_next().is_none(), "it came while it was worked on");
        delivery.in_progress();
    }
    delivery.ack();
    assert_quiet(&mut subscriber).await;
}

/// After so many deliveries, counted; the cause says how often it was tried.
pub async fn the_last_attempt_is_followed_by_a_dead_letter_with_its_cause(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers().acknowledged()).await;
    let sent = scene.job("poison");
    scene.send(sent.clone()).await;
    for attempt in 1..=SETTINGS.max_deliveries {
        let delivery = next(&mut subscriber).await;
        assert_eq!(delivery.attempt, attempt);
        delivery.nak(Duration::ZERO);
    }
    assert_quiet(&mut subscriber).await;
    let letters = scene.under_test.probe.dead_letters().await;
    let [(message, cause)] = letters.as_slice() else { panic!("one dead letter, got {letters:?}") };
    assert_eq!((message, cause.kind()), (&sent, ErrorKind::Unavailable));
    assert_eq!(cause.context("attempts"), Some("3"));
    let stats = scene.under_test.probe.stats().await;
    assert_eq!((stats.redelivered, stats.dead_lettered), (2, 1));
}

/// With the cause that it gives, at once.
pub async fn a_receiver_makes_a_message_a_dead_letter(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers().acknowledged()).await;
    let sent = scene.job("hopeless");
    scene.send(sent.clone()).await;
    next(&mut subscriber).await.dead_letter(Error::new(ErrorKind::Corrupt, "decode job"));
    assert_quiet(&mut subscriber).await;
    let letters = scene.under_test.probe.dead_letters().await;
    let [(message, cause)] = letters.as_slice() else { panic!("one dead letter, got {letters:?}") };
    assert_eq!((message, cause.kind(), cause.operation()), (&sent, ErrorKind::Corrupt, "decode job"));
    assert_eq!(scene.under_test.probe.stats().await.dead_lettered, 1);
}

/// The receiver of an earlier attempt has handled the message after all.
pub async fn a_late_ack_ends_the_redelivery(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers().acknowledged()).await;
    scene.send(scene.job("slow")).await;
    let slow = next(&mut subscriber).await;
    let again = next(&mut subscriber).await;
    slow.ack();
    drop(again);
    sleep(SETTINGS.ack_wait * 2).await;
    assert_quiet(&mut subscriber).await;
}

/// Giving back what comes again already brings nothing more.
pub async fn an_attempt_that_was_replaced_is_not_delivered_again(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers().acknowledged()).await;
    scene.send(scene.job("slow")).await;
    let slow = next(&mut subscriber).await;
    let again = next(&mut subscriber).await;
    slow.nak(Duration::ZERO);
    assert_quiet(&mut subscriber).await;
    again.ack();
    assert_quiet(&mut subscriber).await;
}

/// What a receiver leaves behind when it goes is for the others.
pub async fn a_delivery_comes_again_to_another_member(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let queue = || readers().in_group("shared").acknowledged();
    let mut leaves = scene.subscribe(queue()).await;
    for name in ["read", "unread"] {
        scene.publish(scene.news(name)).await;
    }
    let read = next(&mut leaves).await;
    let mut stays = scene.subscribe(queue()).await;
    drop(leaves);
    drop(read);
    let mut names = Vec::new();
    for _ in 0..2 {
        let delivery = next(&mut stays).await;
        assert_eq!(delivery.attempt, 2);
        names.push(body(&delivery));
        delivery.ack();
    }
    names.sort_unstable();
    assert_eq!(names, ["read", "unread"]);
    assert_quiet(&mut stays).await;
}

/// A full mailbox costs time, not the message.
pub async fn a_redelivery_waits_for_a_full_mailbox(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let limits = MailboxLimits::new(1, usize::MAX);
    let mut subscriber = scene.subscribe_with(workers().acknowledged(), limits).await;
    scene.send(scene.job("given back")).await;
    let given_back = next(&mut subscriber).await;
    scene.send(scene.job("fills the mailbox")).await;
    given_back.nak(Duration::ZERO);
    sleep(SETTINGS.ack_wait / 5).await;
    let filler = next(&mut subscriber).await;
    assert_eq!(body(&filler), "fills the mailbox");
    filler.ack();
    let again = next(&mut subscriber).await;
    assert_eq!(body(&again), "given back");
    again.ack();
    assert_quiet(&mut subscriber).await;
    assert_eq!(scene.under_test.probe.stats().await.dead_lettered, 0);
}
