//! Messages over NATS: requests and events by its core, acknowledged subscriptions by JetStream.

mod answered;
mod asked;
mod attach;
mod config;
mod connect;
mod counters;
mod dead;
mod durable;
mod fault;
mod frame;
mod member;
mod members;
mod outgoing;
mod protocol;
mod send;
mod subjects;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::Context;
use async_trait::async_trait;
use moka::sync::Cache;
use tokio::task::JoinSet;

pub use config::NatsTransportConfig;
pub use connect::NatsConnection;

use super::{Attachment, Inbox, Subscription, Transport, TransportCapabilities, TransportStats};
use crate::time::Clock;
use crate::{AgentMessage, Error, Result};
use answered::Answered;
use asked::Asked;
use counters::Counters;
use dead::DeadLetters;
use members::Members;
use outgoing::Outgoing;
use subjects::Subjects;

/// Carries messages between processes over NATS, 2.9 or newer.
///
/// Requests, and messages to pools that do not acknowledge, go by core NATS to one member of the pool, which says at once
/// that it has taken them: [`send`](Transport::send) waits for that. Acknowledged subscriptions have a stream of
/// JetStream each, which answers in the place of a member: a sent message survives every process then, and is delivered
/// again until it is acknowledged or a dead letter. JetStream acknowledges before it has synced its file by default, so that
/// it is never the only copy of state.
///
/// Each subject begins with the prefix and the tenant, so that accounts of NATS can keep tenants apart; names are
/// escaped, and a message that came by another tenant's subject is refused and counted. A message travels as a
/// CloudEvents event in binary mode.
///
/// When the connection is lost, NATS's client connects anew. Requests that can still meet their deadline wait: whoever has
/// one says so when it is back, an answer that was lost is said again, and what nobody has is sent again.
///
/// A delivery that a full inbox of another process has refused counts as one of its attempts.
///
/// A cheap handle; clones share the connection, which ends with the last one and its attachments.
#[derive(Clone)]
pub struct NatsTransport {
    shared: Arc<Shared>,
}

struct Shared {
    config: NatsTransportConfig,
    clock: Arc<dyn Clock>,
    client: Client,
    jetstream: Context,
    subjects: Subjects,
    counters: Arc<Counters>,
    answered: Arc<Answered>,
    asked: Arc<Asked>,
    outgoing: Outgoing,
    dead: DeadLetters,
    /// Whether a stream keeps what goes by a subject, as it was a moment ago.
    kept: Cache<String, bool>,
    members: Arc<Members>,
    tasks: Mutex<JoinSet<()>>,
}

impl NatsTransport {
    /// What became of messages that did not simply arrive, as this process has seen it.
    pub fn stats(&self) -> TransportStats {
        self.shared.counters.read()
    }

    /// The newest dead letters of all processes with their cause, oldest first.
    ///
    /// # Errors
    /// `unavailable` where JetStream cannot be reached.
    pub async fn dead_letters(&self) -> Result<Vec<(AgentMessage, Error)>> {
        self.shared.dead.read().await
    }

    /// Says what is still to be said and gives up the connection: attachments end, those who wait for replies get
    /// `unavailable`.
    ///
    /// # Errors
    /// `unavailable` where the connection is gone already.
    pub async fn close(&self) -> Result<()> {
        self.shared.outgoing.flush().await;
        let drained = self.shared.client.drain().await.map_err(fault::fault("close nats transport"));
        let mut tasks = std::mem::take(&mut *self.shared.tasks());
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        drained
    }
}

impl Shared {
    fn tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a task that ends with the transport.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }
}

impl fmt::Debug for NatsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsTransport").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

#[async_trait]
impl Transport for NatsTransport {
    fn capabilities(&self) -> TransportCapabilities {
        let shared = &self.shared;
        let limit = shared.config.max_message_bytes.min(shared.client.max_payload());
        TransportCapabilities::network(limit)
    }

    async fn send(&self, message: AgentMessage) -> Result<()> {
        self.shared.send(message).await
    }

    async fn request(&self, message: AgentMessage) -> Result<AgentMessage> {
        self.shared.request(message).await
    }

    async fn publish(&self, message: AgentMessage) -> Result<()> {
        self.shared.publish(message).await
    }

    async fn attach(&self, subscription: Subscription, inbox: Arc<dyn Inbox>) -> Result<Attachment> {
        Shared::attach(&self.shared, subscription, inbox).await
    }
}

/// How long it is remembered whether a stream keeps a subject.
const KEPT_FOR: Duration = Duration::from_secs(10);
