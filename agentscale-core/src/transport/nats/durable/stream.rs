//! The stream and the consumer of an acknowledged subscription.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};

use crate::transport::nats::config::NatsTransportConfig;
use crate::transport::nats::fault::fault;
use crate::transport::nats::subjects::{Subjects, consumer};
use crate::transport::{Subscription, SubscriptionTarget};
use crate::{Error, ErrorKind, Result};

/// How long the messages of a subscriber without a group wait for it once it is gone.
const GONE: Duration = Duration::from_secs(60);

/// Where the deliveries of a subscription come from.
#[derive(Clone, Debug)]
pub(in crate::transport::nats) struct Source {
    pub(super) stream: String,
    subject: String,
    retention: RetentionPolicy,
    consumer: String,
    /// Whether the consumer outlives its members.
    is_kept: bool,
}

impl Source {
    /// # Errors
    /// `invalid_input` for names that are too long for a stream's.
    pub(in crate::transport::nats) fn new(
        subjects: &Subjects,
        subscription: &Subscription,
        name: &str,
    ) -> Result<Self> {
        let stream = subjects.stream(&subscription.target)?;
        let group = subscription.group.as_deref();
        let (subject, retention, consumer, is_kept) = match &subscription.target {
            SubscriptionTarget::Pool(agent_type) => {
                let [_, tell, _] = subjects.pool(agent_type);
                (tell, RetentionPolicy::WorkQueue, "members".to_owned(), true)
            }
            SubscriptionTarget::Topic(tenant, topic) => {
                let consumer = group.map_or_else(|| Ok(format!("one-{name}")), consumer)?;
                (subjects.topic(tenant, topic), RetentionPolicy::Interest, consumer, group.is_some())
            }
        };
        Ok(Self { stream, subject, retention, consumer, is_kept })
    }

    /// The consumer; it and its stream are made where they are missing.
    pub(super) async fn consumer(
        &self,
        jetstream: &Context,
        config: &NatsTransportConfig,
    ) -> Result<PullConsumer> {
        const FAILED: &str = "open stream";
        let stream = Config {
            name: self.stream.clone(),
            subjects: vec![self.subject.clone()],
            retention: self.retention,
            max_bytes: i64::try_from(config.stream_bytes).unwrap_or(i64::MAX),
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            num_replicas: usize::from(config.replicas),
            ..Config::default()
        };
        let stream = jetstream.get_or_create_stream(stream).await.map_err(|error| match error.kind() {
            CreateStreamErrorKind::JetStreamUnavailable => unsupported(error),
            CreateStreamErrorKind::JetStream(ref said)
                if [ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT]
                    .contains(&said.error_code()) =>
            {
                unsupported(error)
            }
            _ => fault(FAILED)(error),
        })?;
        let consumer = pull::Config {
            durable_name: self.is_kept.then(|| self.consumer.clone()),
            name: Some(self.consumer.clone()),
            deliver_policy: match self.retention {
                RetentionPolicy::WorkQueue => DeliverPolicy::All,
                _ => DeliverPolicy::New,
            },
            ack_policy: AckPolicy::Explicit,
            ack_wait: config.ack_wait,
            max_ack_pending: i64::from(config.max_ack_pending),
            inactive_threshold: if self.is_kept { Duration::ZERO } else { GONE },
            ..pull::Config::default()
        };
        stream.get_or_create_consumer(&self.consumer, consumer).await.map_err(fault(FAILED))
    }

    /// Removes a consumer that is nobody else's.
    pub(super) async fn leave(&self, jetstream: &Context) {
        if self.is_kept {
            return;
        }
        // It ends by itself where the server cannot be told.
        let _ = jetstream.delete_consumer_from_stream(&self.consumer, &self.stream).await;
    }
}

fn unsupported(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Unsupported, "open stream")
        .with_context("reason", "the server has no jetstream")
        .with_source(error)
}
