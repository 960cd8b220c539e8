//! Dead letters, in a stream of their own.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use bytes::Bytes;
use std::sync::Arc;

use super::config::NatsTransportConfig;
use super::counters::Counters;
use super::fault::fault;
use super::frame;
use super::subjects::Subjects;
use crate::{AgentMessage, Error, Result};

/// A delivery that ends as a dead letter.
#[derive(Debug)]
pub(super) struct DeadLetter {
    pub(super) message: AgentMessage,
    pub(super) cause: Error,
    /// Where its delivery is acknowledged.
    pub(super) acknowledge: String,
}

#[derive(Clone, Debug)]
pub(super) struct DeadLetters {
    jetstream: Context,
    counters: Arc<Counters>,
    stream: String,
    subject: String,
    limit: i64,
    replicas: usize,
}

impl DeadLetters {
    pub(super) fn new(
        jetstream: Context,
        counters: Arc<Counters>,
        subjects: &Subjects,
        config: &NatsTransportConfig,
    ) -> Self {
        Self {
            jetstream,
            counters,
            stream: subjects.dead_stream(),
            subject: subjects.dead(),
            limit: i64::from(config.dead_letters),
            replicas: usize::from(config.replicas),
        }
    }

    /// Keeps a letter; gives what its delivery is told then. What could not be kept comes again.
    pub(super) async fn bury(&self, letter: DeadLetter) -> (String, Bytes) {
        let word = match self.keep(&letter).await {
            Ok(()) => {
                self.counters.add(&self.counters.dead_lettered);
                Bytes::from_static(b"+TERM")
            }
            Err(error) => {
                tracing::warn!(%error, message = %letter.message.id, "a dead letter could not be kept yet");
                Bytes::from_static(b"-NAK {\"delay\":1000000000}")
            }
        };
        (letter.acknowledge, word)
    }

    async fn keep(&self, letter: &DeadLetter) -> Result<()> {
        let failed = "keep dead letter";
        self.ensure().await?;
        let (mut headers, data) = frame::encode(&letter.message)?;
        frame::put_error(&mut headers, &letter.cause);
        headers.insert("Nats-Msg-Id", letter.message.id.to_string());
        let kept = self.jetstream.publish_with_headers(self.subject.clone(), headers, data).await;
        kept.map_err(fault(failed))?.await.map_err(fault(failed))?;
        Ok(())
    }

    /// The newest letters with their cause, oldest first.
    pub(super) async fn read(&self) -> Result<Vec<(AgentMessage, Error)>> {
        let failed = "read dead letters";
        self.ensure().await?;
        let stream = self.jetstream.get_stream(&self.stream).await.map_err(fault(failed))?;
        let state = stream.cached_info().state.clone();
        let mut letters = Vec::new();
        for sequence in state.first_sequence..=state.last_sequence {
            // A letter that went meanwhile is none any more.
            let Ok(kept) = stream.get_raw_message(sequence).await else { continue };
            let message = frame::decode(&kept.headers, kept.payload)?;
            let cause = frame::error_in(&kept.headers);
            letters.extend(cause.map(|cause| (message, cause)));
        }
        Ok(letters)
    }

    async fn ensure(&self) -> Result<()> {
        let config = Config {
            name: self.stream.clone(),
            subjects: vec![self.subject.clone()],
            max_messages: self.limit,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            num_replicas: self.replicas,
            ..Config::default()
        };
        self.jetstream.get_or_create_stream(config).await.map(drop).map_err(fault("keep dead letters"))
    }
}
