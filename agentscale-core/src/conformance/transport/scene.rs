//! What the tests of the suite share: a transport, an agent pool `worker`, a topic `news`.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{TransportHarness, TransportSettings, TransportUnderTest};
use crate::time::Clock;
use crate::transport::{Delivery, MailboxLimits, Subscriber, Subscription};
use crate::{
    Address, AgentMessage, Deadline, Destination, ErrorKind, HybridClock, Result, Tenant, Topic, Transport,
    TransportExt,
};

/// How long what must not arrive is waited for.
pub(super) const QUIET: Duration = Duration::from_millis(200);
/// How long what must arrive is waited for: longer than any wait of the suite.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Scene {
    pub(super) under_test: TransportUnderTest,
    pub(super) clock: Arc<dyn Clock>,
    stamps: HybridClock,
}

impl Scene {
    pub(super) async fn new(harness: &dyn TransportHarness, clock: Arc<dyn Clock>) -> Self {
        let under_test = harness.start(TransportSettings::SUITE, clock.clone()).await;
        Self { under_test, clock, stamps: HybridClock::new(1) }
    }

    pub(super) fn transport(&self) -> &Arc<dyn Transport> {
        &self.under_test.transport
    }

    /// An event for the pool `worker`.
    pub(super) fn job(&self, body: impl Into<String>) -> AgentMessage {
        let stamp = self.stamps.stamp(self.clock.unix_micros());
        AgentMessage::event(tenant("acme"), Destination::Agent(worker()), body.into(), stamp)
    }

    /// A request to the pool `worker`.
    pub(super) fn question(&self, body: impl Into<String>) -> AgentMessage {
        let stamp = self.stamps.stamp(self.clock.unix_micros());
        AgentMessage::request(tenant("acme"), Destination::Agent(worker()), body.into(), stamp)
    }

    /// An event on the topic `news`.
    pub(super) fn news(&self, body: impl Into<String>) -> AgentMessage {
        self.news_of("acme", "news", body)
    }

    pub(super) fn news_of(
        &self,
        tenant_name: &str,
        topic_name: &str,
        body: impl Into<String>,
    ) -> AgentMessage {
        let stamp = self.stamps.stamp(self.clock.unix_micros());
        AgentMessage::event(tenant(tenant_name), Destination::Topic(topic(topic_name)), body.into(), stamp)
    }

    pub(super) fn reply_to(&self, delivery: &Delivery, body: &str) -> AgentMessage {
        let stamp = self.stamps.stamp(self.clock.unix_micros());
        delivery.message.reply(crate::Body::new(body.to_owned()), stamp)
    }

    pub(super) fn deadline_in(&self, wait: Duration) -> Deadline {
        Deadline::after(self.clock.unix_micros(), wait)
    }

    pub(super) async fn subscribe(&self, subscription: Subscription) -> Subscriber {
        self.subscribe_with(subscription, MailboxLimits::default()).await
    }

    pub(super) async fn subscribe_with(
        &self,
        subscription: Subscription,
        limits: MailboxLimits,
    ) -> Subscriber {
        self.transport().subscribe(subscription, limits).await.expect("the transport takes subscriptions")
    }

    pub(super) async fn send(&self, message: AgentMessage) {
        self.transport().send(message).await.expect("the pool has room");
    }

    pub(super) async fn publish(&self, message: AgentMessage) {
        self.transport().publish(message).await.expect("topics take messages");
    }

    /// A request on its way.
    pub(super) fn ask(&self, message: AgentMessage) -> tokio::task::JoinHandle<Result<AgentMessage>> {
        let transport = self.transport().clone();
        tokio::spawn(async move { transport.request(message).await })
    }
}

pub(super) fn workers() -> Subscription {
    Subscription::pool(worker().agent_type)
}

pub(super) fn readers() -> Subscription {
    readers_of("acme", "news")
}

pub(super) fn readers_of(tenant_name: &str, topic_name: &str) -> Subscription {
    Subscription::topic(tenant(tenant_name), topic(topic_name))
}

pub(super) async fn next(subscriber: &mut Subscriber) -> Delivery {
    timeout(PATIENCE, subscriber.next()).await.expect("a delivery arrives")
}

pub(super) async fn assert_quiet(subscriber: &mut Subscriber) {
    if let Ok(delivery) = timeout(QUIET, subscriber.next()).await {
        panic!("nothing should arrive, got {:?}", body(&delivery));
    }
}

pub(super) fn body(delivery: &Delivery) -> String {
    delivery.message.body::<String>().expect("the suite sends text").as_ref().clone()
}

#[track_caller]
pub(super) fn assert_kind<T: Debug>(result: Result<T>, kind: ErrorKind) {
    assert_eq!(result.map_err(|error| error.kind()).expect_err("an error is promised"), kind);
}

fn worker() -> Address {
    Address::new("worker", "one").expect("valid names")
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("a valid name")
}

fn topic(name: &str) -> Topic {
    Topic::new(name).expect("a valid name")
}
