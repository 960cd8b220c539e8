//! What happens when there is no room.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::scene::{Scene, assert_kind, assert_quiet, body, next, readers, workers};
use super::{TransportHarness, TransportSettings};
use crate::ErrorKind;
use crate::time::Clock;
use crate::transport::{MailboxLimits, Transport};

/// What does not fit is refused as `overloaded` or comes later; the mailbox holds its limit.
pub async fn a_mailbox_full_by_count_never_blocks_the_sender(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    flood(&scene, MailboxLimits::new(4, usize::MAX), "small").await;
}

/// As by count.
pub async fn a_mailbox_full_by_bytes_never_blocks_the_sender(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    flood(&scene, MailboxLimits::new(usize::MAX, 16 << 10), &"x".repeat(3 << 10)).await;
}

/// `too_large` for send, request and publish; nobody sees the message.
pub async fn a_message_over_the_limit_is_too_large(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let (mut worker, mut reader) = (scene.subscribe(workers()).await, scene.subscribe(readers()).await);
    assert_eq!(
        scene.transport().capabilities().max_message_bytes,
        TransportSettings::SUITE.max_message_bytes
    );
    let large = "x".repeat(TransportSettings::SUITE.max_message_bytes + 1);
    assert_kind(scene.transport().send(scene.job(&large)).await, ErrorKind::TooLarge);
    assert_kind(scene.transport().request(scene.question(&large)).await, ErrorKind::TooLarge);
    assert_kind(scene.transport().publish(scene.news(&large)).await, ErrorKind::TooLarge);
    assert_quiet(&mut worker).await;
    assert_quiet(&mut reader).await;
}

async fn flood(scene: &Scene, limits: MailboxLimits, text: &str) {
    let mut subscriber = scene.subscribe_with(workers(), limits).await;
    let mut taken = Vec::new();
    for number in 0..16 {
        let job = scene.job(format!("{number} {text}"));
        let sent = timeout(Duration::from_secs(1), scene.transport().send(job)).await;
        match sent.expect("the sender never waits for the reader") {
            Ok(()) => taken.push(number),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Overloaded),
        }
    }
    assert!(taken.len() >= 4, "what fits is taken");
    for number in taken {
        assert_eq!(body(&next(&mut subscriber).await), format!("{number} {text}"));
    }
    assert_quiet(&mut subscriber).await;
    scene.send(scene.job("room again")).await;
    assert_eq!(body(&next(&mut subscriber).await), "room again");
}
