use std::fmt;
use std::future::Future;

use agentscale_core::checkpoint::{AppendSteps, Epoch, Step, TurnId};
use agentscale_core::{Address, AgentId, Body, Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TurnContext;
use crate::stats::count;

/// Names one step for ever: the same when its turn is repeated. Sent along with an effect, it lets the other side
/// see a repetition, and the epoch lets it refuse an owner that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StepKey {
    /// The agent.
    pub agent: AgentId,
    /// The turn, among those of the agent.
    pub turn: TurnId,
    /// The step within the turn, from 0.
    pub step: u32,
    /// The epoch of the agent's owner, no part of the name.
    pub epoch: Epoch,
}

/// A hash of agent and turn, and the step: at most 75 bytes.
impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hasher = blake3::Hasher::new();
        let AgentId { tenant, agent_type, key } = &self.agent;
        for part in [tenant.as_str(), agent_type.as_str(), key.as_str(), &self.turn.0] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        write!(f, "{}/{}", hasher.finalize().to_hex(), self.step)
    }
}

impl TurnContext<'_> {
    /// Runs a step, or gives the journaled result of an earlier run.
    pub(crate) async fn run_step<R: Serialize + DeserializeOwned>(
        &self,
        step: u32,
        hash: Option<[u8; 32]>,
        effect: impl Future<Output = Result<R>>,
    ) -> Result<R> {
        let (Some(durable), Some(hash)) = (&self.durable, hash) else {
            let _waiting = self.waits.enter();
            return effect.await;
        };
        if let Some(done) = durable.journal.iter().find(|done| done.index == step) {
            count(&self.runtime.counters.replayed_steps);
            return replay(done, &hash);
        }
        let _waiting = self.waits.enter();
        let result = effect.await?;
        let encoded = serde_json::to_vec(&result)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "encode step result").with_source(error))?;
        let step = Step { index: step, request_hash: hash, result: encoded.into() };
        let mut append =
            AppendSteps::new(durable.thread.clone(), durable.epoch, durable.turn.clone(), vec![step]);
        append.level = durable.level;
        durable.begins_journal();
        durable.store.append_steps(append).await?;
        Ok(result)
    }

    pub(crate) fn step_key(&self, step: u32) -> StepKey {
        let (turn, epoch) = match &self.durable {
            Some(durable) => (durable.turn.clone(), durable.epoch),
            None => (TurnId(self.message.id.to_string()), Epoch::default()),
        };
        StepKey { agent: self.agent(), turn, step, epoch }
    }
}

pub(crate) fn hash(parts: &[&[u8]]) -> Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    Ok(*hasher.finalize().as_bytes())
}

pub(crate) fn hash_of_ask(to: &Address, question: &Body) -> Result<[u8; 32]> {
    let (_, question) = question.encode()?;
    hash(&[b"ask", to.agent_type.as_str().as_bytes(), to.key.as_str().as_bytes(), &question])
}

pub(crate) fn hash_of<T: Serialize + ?Sized>(kind: &str, request: &T) -> Result<[u8; 32]> {
    let request = serde_json::to_vec(request)
        .map_err(|error| Error::new(ErrorKind::InvalidInput, "encode step request").with_source(error))?;
    hash(&[kind.as_bytes(), &request])
}

fn replay<R: DeserializeOwned>(done: &Step, hash: &[u8; 32]) -> Result<R> {
    let failed = |kind| Error::new(kind, "replay step").with_context("step", done.index);
    if done.request_hash != *hash {
        return Err(failed(ErrorKind::Conflict).with_context("reason", "the turn asks otherwise than it did"));
    }
    serde_json::from_slice(&done.result).map_err(|error| failed(ErrorKind::Corrupt).with_source(error))
}
