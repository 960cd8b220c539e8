//! NATS keeps the promises of `Transport`, and some of its own.

mod connection;
mod hostile;
mod relay;

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::conformance::transport::{TransportHarness, TransportSettings, TransportUnderTest};
use agentscale_core::testkit::TestServer;
use agentscale_core::time::{Clock, SystemClock};
use agentscale_core::transport::{
    Delivery, NatsConnection, NatsTransport, NatsTransportConfig, Subscription,
};
use agentscale_core::{Address, AgentMessage, Body, Deadline, Destination, HybridClock, Tenant};
use async_trait::async_trait;

struct Nats;

/// A prefix that no other test has.
fn prefix() -> String {
    format!("t{:x}", fastrand::u64(..))
}

#[async_trait]
impl TransportHarness for Nats {
    fn paused(&self) -> bool {
        false
    }

    async fn start(&self, settings: TransportSettings, clock: Arc<dyn Clock>) -> TransportUnderTest {
        let config = NatsTransportConfig {
            prefix: prefix(),
            max_message_bytes: settings.max_message_bytes,
            max_deliveries: settings.max_deliveries,
            ack_wait: settings.ack_wait,
            full_wait: settings.ack_wait / 10,
            stream_bytes: 4 << 20,
            ..NatsTransportConfig::default()
        };
        let url = TestServer::Nats.url().expect("the suite has asked");
        let transport =
            NatsTransport::connect_with(NatsConnection::to(url), config, clock).await.expect("nats answers");
        TransportUnderTest { transport: Arc::new(transport.clone()), probe: Arc::new(transport) }
    }

    fn server(&self) -> Option<TestServer> {
        Some(TestServer::Nats)
    }
}

agentscale_core::transport_conformance!(Nats);

async fn open(url: &str, prefix: &str) -> NatsTransport {
    let config = NatsTransportConfig { prefix: prefix.to_owned(), ..NatsTransportConfig::default() };
    let clock = Arc::new(SystemClock::new());
    NatsTransport::connect_with(NatsConnection::to(url), config, clock).await.expect("nats answers")
}

fn now() -> u64 {
    SystemClock::new().unix_micros()
}

fn acme() -> Tenant {
    Tenant::new("acme").expect("valid names")
}

fn worker() -> Destination {
    Destination::Agent(Address::new("worker", "one").expect("valid names"))
}

/// A pool without members.
fn other() -> Destination {
    Destination::Agent(Address::new("other", "one").expect("valid names"))
}

fn workers() -> Subscription {
    Subscription::pool("worker".try_into().expect("valid names"))
}

fn job(body: &str) -> AgentMessage {
    AgentMessage::event(acme(), worker(), body.to_owned(), HybridClock::new(1).stamp(now()))
}

fn question(wait: Duration) -> AgentMessage {
    let question = AgentMessage::request(acme(), worker(), "why?", HybridClock::new(1).stamp(now()));
    question.with_deadline(Deadline::after(now(), wait))
}

fn reply_to(delivery: &Delivery) -> AgentMessage {
    delivery.message.reply(Body::new("because"), HybridClock::new(2).stamp(now()))
}
