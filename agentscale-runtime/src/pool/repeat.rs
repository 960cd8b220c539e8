//! Messages that come again: their attempts are counted durably, and what was done is not done twice.

use agentscale_core::checkpoint::{CommitId, LoadRequest, TurnId, Version};
use agentscale_core::{AgentMessage, Body, Error, ErrorKind, IdempotencyKey, MessageKind, Result};

use super::AgentPool;
use super::activation::Kept;
use super::woken::Woken;
use crate::agent::Agent;
use crate::patience::within;

/// A commit whose answer was lost. Once the thread is claimed again, the store says whether it was done.
#[derive(Debug)]
pub(super) struct Unsure {
    pub(super) id: CommitId,
    pub(super) version: Version,
}

/// What an earlier turn made of a message.
pub(super) struct Earlier {
    pub(super) body: Body,
    /// Whether the message stands in the outbox no more. Settling it again could meet one that was redriven since.
    pub(super) is_settled: bool,
}

impl<A: Agent> Woken<'_, A> {
    /// The result of an earlier turn that handled this message. Where there is none, the attempt is counted.
    pub(super) async fn earlier_result(
        &mut self,
        kept: Option<&Kept>,
        message: &AgentMessage,
    ) -> Result<Option<Earlier>> {
        if let Some(kept) = kept {
            if let Some(unsure) = &self.unsure
                && self.pool.was_done(kept, unsure).await?
            {
                return Ok(Some(Earlier { body: Body::new(()), is_settled: false }));
            }
            if let Some(body) = self.pool.recorded(kept, message, self.attempt).await? {
                return Ok(Some(Earlier { body, is_settled: false }));
            }
        }
        let was_handled = self.count_attempt(message).await?;
        Ok(was_handled.then(|| Earlier { body: Body::new(()), is_settled: true }))
    }

    /// Counts an attempt durably, but for the first one: a message that kills the process is counted too.
    /// `true` for a message that was handled: it stands no longer in the outbox that it came from.
    async fn count_attempt(&mut self, message: &AgentMessage) -> Result<bool> {
        let runtime = &self.pool.runtime;
        let is_again = self.attempt > 1 || runtime.is_foreign(message.stamp);
        let (true, true, Some(store)) = (is_again, message.kind == MessageKind::Event, &runtime.store) else {
            return Ok(false);
        };
        let patience = runtime.config.store_timeout;
        let Some(counted) = within(patience, "count attempt", store.record_attempt(message.id)).await? else {
            return Ok(runtime.outbox.holds(message.id));
        };
        self.attempt = counted.attempts.saturating_add(1);
        if self.attempt > runtime.config.supervision.max_attempts {
            return Err(Error::new(ErrorKind::Internal, "handle message")
                .with_context("reason", "every attempt failed or ended the process")
                .with_context("attempts", counted.attempts));
        }
        Ok(false)
    }
}

impl<A: Agent> AgentPool<A> {
    async fn was_done(&self, kept: &Kept, unsure: &Unsure) -> Result<bool> {
        let Some(store) = self.store() else { return Ok(false) };
        let request = LoadRequest::version(kept.thread.clone(), unsure.version);
        let found = within(self.runtime.config.store_timeout, "look for commit", store.load(request)).await?;
        Ok(found.is_some_and(|checkpoint| checkpoint.info.id == unsure.id))
    }

    /// The result that an earlier turn recorded for this request.
    async fn recorded(&self, kept: &Kept, message: &AgentMessage, attempt: u32) -> Result<Option<Body>> {
        let came_again = attempt > 1 || self.runtime.is_foreign(message.stamp);
        let can_repeat =
            message.idempotency_key.is_some() || (self.runtime.transport_is_durable && came_again);
        let (true, true, Some(store)) = (kept.has_history, can_repeat, self.store()) else { return Ok(None) };
        let key = IdempotencyKey::new(turn_id(message).0)?;
        let patience = self.runtime.config.store_timeout;
        let outcome = within(patience, "look for recorded result", store.outcome(&kept.thread, &key)).await?;
        let Some(outcome) = outcome else { return Ok(None) };
        if outcome.request_hash != request_hash(message)? {
            return Err(Error::new(ErrorKind::Conflict, "repeat request")
                .with_context("idempotency_key", key)
                .with_context("reason", "the key was used with another request"));
        }
        let body = outcome.reply.unwrap_or_else(|| bytes::Bytes::from_static(b"null"));
        Ok(Some(Body::encoded(agentscale_core::ContentType::JSON, body)))
    }
}

pub(crate) fn turn_id(message: &AgentMessage) -> TurnId {
    TurnId(message.idempotency_key.as_ref().map_or_else(|| message.id.to_string(), ToString::to_string))
}

/// What a repeated request must say again: its body, not its deadline or stamp.
pub(super) fn request_hash(message: &AgentMessage) -> Result<[u8; 32]> {
    let (content_type, bytes) = message.raw_body().encode()?;
    Ok(*blake3::Hasher::new()
        .update(content_type.as_str().as_bytes())
        .update(&[0])
        .update(&bytes)
        .finalize()
        .as_bytes())
}
