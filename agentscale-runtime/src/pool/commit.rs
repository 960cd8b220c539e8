//! The end of a turn: state, outbox, result and settlement in one fenced write.

use std::time::Duration;

use agentscale_core::checkpoint::{
    CheckpointStore, Commit, CommitId, Committed, OutboxMessage, RecordedOutcome, StateHeader, Version,
};
use agentscale_core::layers::{Component, Decision, RetryPolicy};
use agentscale_core::{AgentMessage, Body, Error, ErrorKind, IdempotencyKey, MessageId, Result, Retry};
use tokio::time::sleep;

use super::handle::Handled;
use super::repeat::{Unsure, request_hash};
use super::woken::{Done, Woken};
use crate::agent::Agent;
use crate::patience::within;

impl<A: Agent> Woken<'_, A> {
    pub(super) async fn commit(
        &mut self,
        message: &AgentMessage,
        handled: Handled<A::State>,
    ) -> Result<Done> {
        let Handled { mut activation, ending, outbox, journaled, .. } = handled;
        let runtime = &self.pool.runtime;
        let body = ending.into_body();
        let mut settled = false;
        let mut later = None;
        if let (Some(kept), Some(store)) = (&mut activation.kept, self.pool.store()) {
            let stamp = runtime.stamp();
            let id = CommitId(*MessageId::new(stamp.unix_micros()).as_uuid());
            let header = StateHeader::json(A::SCHEMA_VERSION);
            let changes = kept.committed.changes(&activation.state)?;
            let mut commit = Commit::new(id, kept.thread.clone(), kept.epoch, kept.version, header);
            commit.level = self.pool.options.durability;
            commit.stamp = stamp;
            commit.fields.clone_from(&changes.writes);
            commit.outbox = encode_outbox(&outbox)?;
            commit.outcome = outcome(message, body.as_ref(), runtime.transport_is_durable)?;
            commit.settles = runtime.stands_in_outbox(message).then_some(message.id);
            commit.turn = journaled;
            settled = commit.settles.is_some();
            let mut level = None;
            if writes_something(&commit) || kept.version.0 == 0 {
                let mut unsure = None;
                let written = Box::pin(self.write(store.as_ref(), commit, &outbox, &mut unsure)).await;
                let committed = match written {
                    Ok(committed) => committed,
                    Err(error) => {
                        self.unsure = unsure;
                        return Err(error);
                    }
                };
                (kept.version, level) = (committed.version, Some(committed.level));
                kept.has_history = true;
            }
            kept.committed.advance(changes);
            later = kept.leaves_later(level);
        }
        self.activation = Some(activation);
        Ok(Done { body, outbox, settled, later })
    }

    /// Writes the commit; where it fails and may have been written all the same, says so in `unsure`.
    async fn write(
        &self,
        store: &dyn CheckpointStore,
        commit: Commit,
        outbox: &[AgentMessage],
        unsure: &mut Option<Box<Unsure>>,
    ) -> Result<Committed> {
        let runtime = &self.pool.runtime;
        if runtime.is_stopped() {
            // Another process may have handled the message before this one claimed the thread.
            return Err(
                Error::new(ErrorKind::Unavailable, "commit turn").with_context("reason", "shutting down")
            );
        }
        let (id, version) = (commit.id, Version(commit.expected.0 + 1));
        runtime.outbox.expect(outbox);
        let mut may_be_written = false;
        let written = tokio::select! {
            biased;
            written = repeat_until_answered(store, commit, runtime.config.store_timeout, &mut may_be_written) => written,
            () = runtime.stop.cancelled() => {
                Err(Error::new(ErrorKind::Unavailable, "commit turn").with_context("reason", "shutting down"))
            }
        };
        if let Err(error) = &written {
            let sent: Vec<_> = outbox.iter().map(|message| message.id).collect();
            runtime.outbox.leave_behind(&sent);
            if may_be_written {
                tracing::warn!(%error, "commit may be written or not");
                *unsure = Some(Box::new(Unsure { id, version }));
            }
        }
        written
    }
}

/// Commits, and repeats the commit under its id where it was refused for now. From the first answer on that leaves
/// it open, it `may_be_written`.
async fn repeat_until_answered(
    store: &dyn CheckpointStore,
    commit: Commit,
    patience: Duration,
    may_be_written: &mut bool,
) -> Result<Committed> {
    let policy = RetryPolicy::new(Component::Checkpoint.retry());
    let mut retries = 0;
    loop {
        let before = std::mem::replace(may_be_written, true);
        let error = match within(patience, "commit turn", store.commit(commit.clone())).await {
            Ok(committed) => return Ok(committed),
            Err(error) => error,
        };
        if is_refusal(error.kind()) {
            *may_be_written = before;
        }
        if error.retry() != Retry::Later || error.kind() == ErrorKind::DeadlineExceeded {
            return Err(error);
        }
        match policy.decide(retries, &error, fastrand::f64()) {
            Decision::RetryAfter(wait) => sleep(wait).await,
            Decision::GiveUp => return Err(error.with_retry(Retry::Exhausted)),
        }
        retries += 1;
    }
}

/// Whether an error says that nothing was written.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Fenced
            | ErrorKind::Conflict
            | ErrorKind::TooLarge
            | ErrorKind::InvalidInput
            | ErrorKind::Unsupported
            | ErrorKind::Overloaded
    )
}

fn encode_outbox(outbox: &[AgentMessage]) -> Result<Vec<OutboxMessage>> {
    outbox.iter().map(|message| Ok(OutboxMessage { id: message.id, message: message.encode()? })).collect()
}

/// What is recorded for a request that can be repeated: by its caller, who chose a key, or by a durable transport.
fn outcome(
    message: &AgentMessage,
    reply: Option<&Body>,
    transport_is_durable: bool,
) -> Result<Option<RecordedOutcome>> {
    let key = match &message.idempotency_key {
        Some(key) => key.clone(),
        None if transport_is_durable => IdempotencyKey::new(message.id.to_string())?,
        None => return Ok(None),
    };
    let (_, reply) = reply.unwrap_or(&Body::empty()).encode()?;
    Ok(Some(RecordedOutcome::new(key, request_hash(message)?, Some(reply))))
}

fn writes_something(commit: &Commit) -> bool {
    !commit.fields.is_empty()
        || !commit.outbox.is_empty()
        || commit.outcome.is_some()
        || commit.settles.is_some()
        || commit.turn.is_some()
}
