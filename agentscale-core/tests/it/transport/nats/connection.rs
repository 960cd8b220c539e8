//! What becomes of requests when the connection is lost.

use std::time::Duration;

use agentscale_core::testkit::TestServer;
use agentscale_core::transport::{Delivery, MailboxLimits, Subscriber};
use agentscale_core::{AgentMessage, ErrorKind, Result, Transport, TransportExt};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::relay::Relay;
use super::{NatsTransport, job, open, prefix, question, reply_to, workers};

const PATIENCE: Duration = Duration::from_secs(20);

/// An asker behind a relay, and a worker that is not.
struct Scene {
    relay: Relay,
    asker: NatsTransport,
    worker: Subscriber,
    _transport: NatsTransport,
}

impl Scene {
    async fn start() -> Option<Self> {
        let url = TestServer::Nats.url()?;
        let (relay, prefix) = (Relay::before(&url).await, prefix());
        let asker = open(relay.url(), &prefix).await;
        let transport = open(&url, &prefix).await;
        let worker = transport.subscribe(workers(), MailboxLimits::default()).await.expect("a subscription");
        Some(Self { relay, asker, worker, _transport: transport })
    }

    fn ask(&self, wait: Duration) -> JoinHandle<Result<AgentMessage>> {
        let (asker, question) = (self.asker.clone(), question(wait));
        tokio::spawn(async move { asker.request(question).await })
    }

    async fn next(&mut self) -> Delivery {
        timeout(PATIENCE, self.worker.next()).await.expect("a delivery arrives")
    }

    async fn quiet(&mut self) {
        assert!(timeout(Duration::from_millis(800), self.worker.next()).await.is_err());
    }

    async fn cut_and_mend(&self) {
        self.relay.cut();
        sleep(Duration::from_millis(100)).await;
        self.relay.mend();
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_with_the_connection_is_said_again() {
    let Some(mut scene) = Scene::start().await else { return };
    let asked = scene.ask(PATIENCE);
    let mut delivery = scene.next().await;
    scene.relay.swallow();
    let reply = reply_to(&delivery);
    assert!(delivery.respond(Ok(reply.clone())));
    sleep(Duration::from_millis(100)).await;
    scene.cut_and_mend().await;
    assert_eq!(asked.await.unwrap().unwrap(), reply);
    scene.quiet().await;
    assert_eq!(scene.asker.stats().reconnected, 1);
}

#[tokio::test]
async fn a_request_that_is_being_handled_is_not_handled_twice() {
    let Some(mut scene) = Scene::start().await else { return };
    let asked = scene.ask(PATIENCE);
    let mut delivery = scene.next().await;
    scene.cut_and_mend().await;
    scene.quiet().await;
    let reply = reply_to(&delivery);
    assert!(delivery.respond(Ok(reply.clone())));
    assert_eq!(asked.await.unwrap().unwrap(), reply);
}

#[tokio::test]
async fn a_request_that_reached_nobody_is_sent_again() {
    let Some(mut scene) = Scene::start().await else { return };
    scene.relay.swallow();
    sleep(Duration::from_millis(50)).await;
    let asked = scene.ask(PATIENCE);
    sleep(Duration::from_millis(50)).await;
    scene.cut_and_mend().await;
    let mut delivery = scene.next().await;
    let reply = reply_to(&delivery);
    assert!(delivery.respond(Ok(reply.clone())));
    assert_eq!(asked.await.unwrap().unwrap(), reply);
    scene.quiet().await;
}

#[tokio::test]
async fn a_message_whose_receipt_was_lost_arrives_once() {
    let Some(mut scene) = Scene::start().await else { return };
    scene.relay.swallow();
    sleep(Duration::from_millis(50)).await;
    let asker = scene.asker.clone();
    let sent = tokio::spawn(async move { asker.send(job("once")).await });
    sleep(Duration::from_millis(50)).await;
    scene.cut_and_mend().await;
    sent.await.unwrap().unwrap();
    assert_eq!(*scene.next().await.message.body::<String>().unwrap(), "once");
    scene.quiet().await;
}

#[tokio::test]
async fn a_request_ends_by_its_deadline_though_the_connection_stays_away() {
    let Some(scene) = Scene::start().await else { return };
    scene.relay.cut();
    sleep(Duration::from_millis(50)).await;
    let asked = scene.ask(Duration::from_millis(300));
    let error = timeout(PATIENCE, asked).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
}
