//! What a transport does with what no transport has sent.

use std::time::Duration;

use agentscale_core::TraceContext;
use agentscale_core::testkit::TestServer;
use agentscale_core::transport::{MailboxLimits, NatsConnection, Subscriber};
use agentscale_core::{ErrorKind, Tenant, Transport, TransportExt};
use async_nats::{Client, HeaderMap};
use tokio::time::timeout;

use super::{NatsTransport, job, open, prefix, workers};

struct Scene {
    prefix: String,
    transport: NatsTransport,
    worker: Subscriber,
    /// Sends whatever it likes.
    stranger: Client,
}

impl Scene {
    async fn start() -> Option<Self> {
        let url = TestServer::Nats.url()?;
        let prefix = prefix();
        let transport = open(&url, &prefix).await;
        let worker =
            transport.subscribe(workers(), MailboxLimits::default()).await.expect("nats does as it is told");
        let (user, server) =
            url.trim_start_matches("nats://").split_once('@').expect("nats does as it is told");
        let (user, password) = user.split_once(':').expect("nats does as it is told");
        let options = async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
        let stranger = options.connect(server).await.expect("nats does as it is told");
        Some(Self { prefix, transport, worker, stranger })
    }

    /// Listens to a subject, and has heard itself there: from then on the server knows.
    async fn listen(&self, subject: String) -> async_nats::Subscriber {
        let mut wire = self.stranger.subscribe(subject.clone()).await.expect("nats does as it is told");
        self.stranger.publish(subject, "heard".into()).await.expect("nats does as it is told");
        let heard = timeout(Duration::from_secs(20), futures::StreamExt::next(&mut wire)).await;
        assert!(heard.expect("a message to itself arrives").is_some());
        wire
    }

    /// What a worker is sent, header by header.
    async fn headers_of(&self, tenant: &str) -> HeaderMap {
        let mut wire = self.listen(format!("{}.{tenant}.tell.other", self.prefix)).await;
        let mut message = job("copied");
        message.tenant = Tenant::new(tenant).expect("nats does as it is told");
        message.to = super::other();
        let transport = self.transport.clone();
        let sent = tokio::spawn(async move { transport.send(message).await });
        let copied = timeout(Duration::from_secs(20), futures::StreamExt::next(&mut wire))
            .await
            .expect("nats does as it is told")
            .expect("nats does as it is told");
        sent.abort();
        copied.headers.expect("nats does as it is told")
    }

    /// The kind that a stranger's message is refused with, which is counted.
    async fn refused(&mut self, headers: HeaderMap) -> String {
        let before = self.transport.stats().malformed;
        let subject = format!("{}.acme.ask.worker", self.prefix);
        let answer = self
            .stranger
            .request_with_headers(subject, headers, "\"x\"".into())
            .await
            .expect("nats does as it is told");
        assert_eq!(self.transport.stats().malformed, before + 1);
        assert!(timeout(Duration::from_millis(50), self.worker.next()).await.is_err());
        answer
            .headers
            .expect("nats does as it is told")
            .get("as-error")
            .expect("nats does as it is told")
            .to_string()
    }
}

#[tokio::test]
async fn what_is_no_message_is_refused_and_counted() {
    let Some(mut scene) = Scene::start().await else { return };
    assert!(scene.refused(HeaderMap::new()).await.contains("corrupt"));
    let good = scene.headers_of("acme").await;
    for (name, value) in [
        ("ce-id", "7"),
        ("ce-type", "order"),
        ("ce-stamp", "1"),
        ("ce-tenant", "%ff"),
        ("ce-to", "agent:worker"),
        ("ce-priority", "9"),
        ("ce-deadline", "-1"),
        ("ce-chain", "a:b,c"),
    ] {
        let mut headers = good.clone();
        headers.insert("ce-to", "agent:worker:one");
        headers.insert(name, value);
        let refusal = scene.refused(headers).await;
        assert!(refusal.contains("corrupt") && refusal.contains(name), "{name}: {refusal}");
    }
}

#[tokio::test]
async fn a_newer_major_version_is_unsupported_and_a_newer_minor_one_is_not() {
    let Some(mut scene) = Scene::start().await else { return };
    let mut headers = scene.headers_of("acme").await;
    headers.insert("ce-to", "agent:worker:one");
    headers.insert("ce-specversion", "2.0");
    assert!(scene.refused(headers.clone()).await.contains("unsupported"));
    headers.insert("ce-specversion", "1.7");
    headers.insert("ce-of-tomorrow", "x");
    let subject = format!("{}.acme.tell.worker", scene.prefix);
    scene.stranger.request_with_headers(subject, headers, "\"new\"".into()).await.unwrap();
    let delivery = timeout(Duration::from_secs(20), scene.worker.next()).await.unwrap();
    assert_eq!(*delivery.message.body::<String>().unwrap(), "new");
}

#[tokio::test]
async fn a_message_of_another_tenant_or_pool_than_its_subjects_is_refused() {
    let Some(mut scene) = Scene::start().await else { return };
    let mut headers = scene.headers_of("globex").await;
    headers.insert("ce-to", "agent:worker:one");
    assert!(scene.refused(headers).await.contains("permission_denied"));
    let headers = scene.headers_of("acme").await;
    assert!(scene.refused(headers).await.contains("permission_denied"));
}

#[tokio::test]
async fn an_answer_to_nobody_is_counted() {
    let Some(scene) = Scene::start().await else { return };
    let mut wire = scene.listen(format!("{}.acme.tell.other", scene.prefix)).await;
    let mut message = job("asked");
    message.to = super::other();
    let transport = scene.transport.clone();
    let sent = tokio::spawn(async move { transport.send(message).await });
    let reply = futures::StreamExt::next(&mut wire).await.unwrap().reply.unwrap();
    sent.abort();
    assert!(sent.await.unwrap_err().is_cancelled());
    scene.stranger.publish(reply, "{}".into()).await.unwrap();
    scene.stranger.flush().await.unwrap();
    timeout(Duration::from_secs(20), async {
        while scene.transport.stats().late_replies == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn names_and_headers_arrive_whatever_they_hold() {
    let Some(mut scene) = Scene::start().await else { return };
    let mut message = job("hostile");
    message.tenant = Tenant::new("a.b > * ä \"%41:,\"").unwrap();
    message.trace = Some(Box::new(TraceContext {
        traceparent: "00-x\r\nce-tenant: globex".into(),
        tracestate: "a=b\r\n\r\n".into(),
    }));
    scene.transport.send(message.clone()).await.unwrap();
    let delivery = timeout(Duration::from_secs(20), scene.worker.next()).await.unwrap();
    assert_eq!(delivery.message, message);
}

#[tokio::test]
async fn a_body_of_a_hundred_megabytes_is_too_large() {
    let Some(scene) = Scene::start().await else { return };
    let error = scene.transport.send(job(&"x".repeat(100 << 20))).await.unwrap_err();
    assert_eq!((error.kind(), error.context("limit").is_some()), (ErrorKind::TooLarge, true));
    assert!(scene.transport.send(job("small")).await.is_ok());
}

#[tokio::test]
async fn a_connection_that_cannot_be_is_refused_by_kind() {
    let Some(url) = TestServer::Nats.url() else { return };
    let stranger = url.split_once('@').map(|(_, server)| format!("nats://nobody:wrong@{server}")).unwrap();
    for (server, kind) in [
        (stranger.as_str(), ErrorKind::Unauthenticated),
        ("nats://127.0.0.1:1", ErrorKind::Unavailable),
        ("nats://:::", ErrorKind::InvalidInput),
        ("", ErrorKind::InvalidInput),
    ] {
        let error = NatsTransport::connect(server).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{server}: {error}");
        assert!(!format!("{error:?}").contains("wrong"));
        assert!(!format!("{:?}", NatsConnection::to(server)).contains("wrong"));
    }
}
