//! Who receives what is published.

use std::sync::Arc;

use super::TransportHarness;
use super::scene::{QUIET, Scene, assert_kind, assert_quiet, body, next, readers, readers_of};
use crate::ErrorKind;
use crate::time::Clock;
use crate::transport::{MailboxLimits, Transport};

/// Every one, once.
pub async fn a_published_message_reaches_every_subscriber_of_its_topic(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscribers = Vec::new();
    for _ in 0..3 {
        subscribers.push(scene.subscribe(readers()).await);
    }
    let sent = scene.news("all");
    scene.publish(sent.clone()).await;
    for subscriber in &mut subscribers {
        assert_eq!(next(subscriber).await.message, sent);
        assert_quiet(subscriber).await;
    }
}

/// A tenant is a hard border, even for the same topic.
pub async fn a_published_message_reaches_no_other_tenant_and_no_other_topic(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut ours = scene.subscribe(readers()).await;
    let mut others = Vec::new();
    for (tenant, topic) in [("other", "news"), ("acme", "news.more"), ("acme", "new"), ("*", "news")] {
        others.push(scene.subscribe(readers_of(tenant, topic)).await);
    }
    scene.publish(scene.news("ours")).await;
    assert_eq!(body(&next(&mut ours).await), "ours");
    for other in &mut others {
        assert_quiet(other).await;
    }
    scene.publish(scene.news_of("other", "news", "theirs")).await;
    assert_eq!(body(&next(&mut others[0]).await), "theirs");
    assert_quiet(&mut ours).await;
}

/// Each group gets each message, at one of its members; subscribers without a group get all.
pub async fn one_member_of_a_queue_group_gets_each_message(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut first = scene.subscribe(readers().in_group("shared")).await;
    let mut second = scene.subscribe(readers().in_group("shared")).await;
    let mut other = scene.subscribe(readers().in_group("other")).await;
    let mut alone = scene.subscribe(readers()).await;
    for number in 0..20 {
        scene.publish(scene.news(number.to_string())).await;
    }
    let mut shared: Vec<u32> = Vec::new();
    for subscriber in [&mut first, &mut second] {
        while let Ok(delivery) = tokio::time::timeout(QUIET, subscriber.next()).await {
            shared.push(body(&delivery).parse().expect("a number"));
        }
    }
    shared.sort_unstable();
    assert_eq!(shared, (0..20).collect::<Vec<_>>());
    for number in 0..20 {
        assert_eq!(body(&next(&mut other).await), number.to_string());
        assert_eq!(body(&next(&mut alone).await), number.to_string());
    }
}

/// Nobody has to listen.
pub async fn a_topic_without_subscribers_is_no_error(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    scene.publish(scene.news("nobody")).await;
    let mut late = scene.subscribe(readers()).await;
    assert_quiet(&mut late).await;
    assert_eq!(scene.under_test.probe.stats().await.missed, 0);
}

/// `invalid_input`.
pub async fn a_publication_that_goes_to_no_topic_is_invalid(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    assert_kind(scene.transport().publish(scene.job("no topic")).await, ErrorKind::InvalidInput);
}

/// The publisher and the other subscribers do not notice.
pub async fn a_publication_that_a_full_subscriber_misses_is_counted(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut full = scene.subscribe_with(readers(), MailboxLimits::new(2, usize::MAX)).await;
    let mut other = scene.subscribe(readers()).await;
    for number in 0..5 {
        scene.publish(scene.news(number.to_string())).await;
    }
    for number in 0..5 {
        assert_eq!(body(&next(&mut other).await), number.to_string());
    }
    assert_eq!(body(&next(&mut full).await), "0");
    assert_eq!(body(&next(&mut full).await), "1");
    assert_quiet(&mut full).await;
    assert_eq!(scene.under_test.probe.stats().await.missed, 3);
}
