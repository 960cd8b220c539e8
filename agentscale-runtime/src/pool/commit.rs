//! The end of a turn: state, outbox, result and settlement in one fenced write.

use std::time::Duration;

use agentscale_core::checkpoint::{
    CheckpointStore, Commit, CommitId, Committed, OutboxMessage, RecordedOutcome, StateHeader,
};
use agentscale_core::{AgentMessage, Body, Error, ErrorKind, IdempotencyKey, MessageId, Result, Retry};
use tokio::time::{sleep, timeout};

use super::woken::{Ending, Handled, Woken, request_hash};
use crate::agent::{Agent, Outcome};

/// FEATURES O7: checkpoint writes are tried 5 times more, from 100 ms, doubling.
const RETRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(100);

impl<A: Agent> Woken<A> {
    pub(super) async fn commit(
        &mut self,
        message: &AgentMessage,
        handled: Handled<A::State>,
    ) -> Result<(AgentMessage, Vec<AgentMessage>)> {
        let Handled { mut activation, ending, outbox, turn, .. } = handled;
        let runtime = &self.pool.runtime;
        let body = match ending {
            Ending::Now(Outcome::Reply(body)) | Ending::Recorded(body) => body,
            Ending::Now(Outcome::Done) => Body::new(()),
        };
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
            commit.outcome = outcome(message, &body, runtime.transport_is_durable)?;
            commit.settles = runtime.outbox.is_outstanding(message.id).then_some(message.id);
            commit.turn = turn;
            if writes_something(&commit) || kept.version.0 == 0 {
                kept.version = repeat_until_answered(store.as_ref(), commit, runtime.config.store_timeout)
                    .await?
                    .version;
                kept.has_history = true;
            }
            kept.committed.advance(changes);
        }
        self.activation = Some(activation);
        Ok((message.reply(body, runtime.stamp()), outbox))
    }
}

/// Commits, and repeats the commit under its id where the answer may have been lost.
async fn repeat_until_answered(
    store: &dyn CheckpointStore,
    commit: Commit,
    patience: Duration,
) -> Result<Committed> {
    let mut wait = FIRST_WAIT;
    for _ in 0..RETRIES {
        match commit_once(store, commit.clone(), patience).await {
            Err(error) if error.retry() == Retry::Later => sleep(wait).await,
            answer => return answer,
        }
        wait *= 2;
    }
    commit_once(store, commit, patience).await.map_err(|error| match error.retry() {
        Retry::Later => error.with_retry(Retry::Exhausted),
        _ => error,
    })
}

async fn commit_once(store: &dyn CheckpointStore, commit: Commit, patience: Duration) -> Result<Committed> {
    let answer = timeout(patience, store.commit(commit)).await;
    answer.unwrap_or_else(|_| Err(Error::new(ErrorKind::DeadlineExceeded, "commit turn")))
}

fn encode_outbox(outbox: &[AgentMessage]) -> Result<Vec<OutboxMessage>> {
    outbox.iter().map(|message| Ok(OutboxMessage { id: message.id, message: message.encode()? })).collect()
}

/// What is recorded for a request that can be repeated: by its caller, who chose a key, or by a durable transport.
fn outcome(
    message: &AgentMessage,
    reply: &Body,
    transport_is_durable: bool,
) -> Result<Option<RecordedOutcome>> {
    let key = match &message.idempotency_key {
        Some(key) => key.clone(),
        None if transport_is_durable => IdempotencyKey::new(message.id.to_string())?,
        None => return Ok(None),
    };
    let (_, reply) = reply.encode()?;
    Ok(Some(RecordedOutcome::new(key, request_hash(message)?, Some(reply))))
}

fn writes_something(commit: &Commit) -> bool {
    !commit.fields.is_empty()
        || !commit.outbox.is_empty()
        || commit.outcome.is_some()
        || commit.settles.is_some()
}
