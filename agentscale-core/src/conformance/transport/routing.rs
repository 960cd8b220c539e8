//! Who receives what is sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::TransportHarness;
use super::scene::{QUIET, Scene, assert_kind, assert_quiet, body, next, readers, workers};
use crate::time::Clock;
use crate::transport::{MailboxLimits, Transport};
use crate::{Account, Address, ErrorKind, IdempotencyKey, Priority, TraceContext};

/// Each message goes to one attachment, whichever.
pub async fn a_sent_message_reaches_exactly_one_attachment_of_its_pool(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscribers = Vec::new();
    for _ in 0..3 {
        subscribers.push(scene.subscribe(workers()).await);
    }
    for number in 0..30 {
        scene.send(scene.job(number.to_string())).await;
    }
    let mut arrived: Vec<u32> = Vec::new();
    for subscriber in &mut subscribers {
        while let Ok(delivery) = tokio::time::timeout(QUIET, subscriber.next()).await {
            arrived.push(body(&delivery).parse().expect("a number"));
        }
    }
    arrived.sort_unstable();
    assert_eq!(arrived, (0..30).collect::<Vec<_>>());
}

/// `not_found`, for requests too.
pub async fn a_message_to_a_pool_without_attachments_is_not_found(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    assert_kind(scene.transport().send(scene.job("nobody")).await, ErrorKind::NotFound);
    assert_kind(scene.transport().request(scene.question("nobody")).await, ErrorKind::NotFound);
}

/// `invalid_input`, for requests too.
pub async fn a_message_that_goes_to_no_agent_is_invalid(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    assert_kind(scene.transport().send(scene.news("no agent")).await, ErrorKind::InvalidInput);
    assert_kind(scene.transport().request(scene.news("no agent")).await, ErrorKind::InvalidInput);
}

/// The message that arrives equals the one that was sent.
pub async fn a_message_arrives_with_every_field_of_its_header(
    harness: &dyn TransportHarness,
    clock: Arc<dyn Clock>,
) {
    let scene = Scene::new(harness, clock).await;
    let mut subscriber = scene.subscribe(workers()).await;
    let asker = Address::new("asker", "two").expect("valid names");
    let mut sent = scene
        .job("everything")
        .with_account(Account::new("account").expect("a valid name"))
        .with_priority(Priority::Incident)
        .with_deadline(scene.deadline_in(Duration::from_secs(60)))
        .with_idempotency_key(IdempotencyKey::new("once").expect("a valid name"));
    sent.from = Some(asker.clone());
    sent.correlation = Some(scene.job("before").id);
    sent.chain = sent.chain.then(asker);
    let trace = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    sent.trace = Some(Box::new(trace.expect("a valid header")));
    sent.schema_version = 7;
    scene.send(sent.clone()).await;
    let delivery = next(&mut subscriber).await;
    assert_eq!(delivery.message, sent);
    assert_eq!(delivery.attempt, 1);
    assert!(!delivery.wants_reply());
}

/// Others get what comes after; without others the route is gone.
pub async fn a_dropped_attachment_gets_nothing_more(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    let scene = Scene::new(harness, clock).await;
    let (first, mut second) = (scene.subscribe(workers()).await, scene.subscribe(workers()).await);
    drop(first);
    for number in 0..4 {
        scene.send(scene.job(number.to_string())).await;
        assert_eq!(body(&next(&mut second).await), number.to_string());
    }
    drop(second);
    assert_kind(scene.transport().send(scene.job("late")).await, ErrorKind::NotFound);
    let mut reader = scene.subscribe(readers()).await;
    drop(scene.subscribe(readers()).await);
    scene.publish(scene.news("one reader")).await;
    assert_eq!(body(&next(&mut reader).await), "one reader");
    assert_quiet(&mut reader).await;
}

/// Eight threads, a thousand messages each; those of one sender keep their order.
pub async fn what_eight_senders_send_arrives_once(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) {
    const SENDERS: usize = 8;
    const EACH: usize = 1_000;
    let scene = Scene::new(harness, clock).await;
    let limits = MailboxLimits::new(SENDERS * EACH, usize::MAX);
    let mut subscriber = scene.subscribe_with(workers(), limits).await;
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let transport = scene.transport().clone();
        let jobs: Vec<_> = (0..EACH).map(|number| scene.job(format!("{sender} {number}"))).collect();
        let runtime = Handle::current();
        // A blocking task: time does not jump while it works.
        senders.push(tokio::task::spawn_blocking(move || {
            runtime.block_on(async {
                for job in jobs {
                    transport.send(job).await.expect("the mailbox has room for all");
                }
            });
        }));
    }
    for sender in senders {
        sender.await.expect("no sender panics");
    }
    let mut arrived: HashMap<String, Vec<usize>> = HashMap::new();
    for _ in 0..SENDERS * EACH {
        let delivery = next(&mut subscriber).await;
        let text = body(&delivery);
        let (sender, number) = text.split_once(' ').expect("two words");
        arrived.entry(sender.to_owned()).or_default().push(number.parse().expect("a number"));
    }
    assert_eq!(arrived.len(), SENDERS);
    for numbers in arrived.values() {
        assert!(numbers.iter().copied().eq(0..EACH), "each message once and in order");
    }
    assert_quiet(&mut subscriber).await;
}
