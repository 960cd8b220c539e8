use std::fmt;
use std::future::Future;

use agentscale_core::checkpoint::{AppendSteps, Epoch, Step, TurnId};
use agentscale_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TurnContext;
use crate::stats::count;

/// Names one step for ever: the same when its turn is repeated. Sent along with an effect, it lets the other side
/// see a repetition, and the epoch lets it refuse an owner that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StepKey {
    /// The turn.
    pub turn: TurnId,
    /// The step within the turn, from 0.
    pub step: u32,
    /// The epoch of the agent's owner, no part of the name.
    pub epoch: Epoch,
}

/// The turn and the step, at most 120 bytes: a turn's name that is longer is hashed.
impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 100;
        if self.turn.0.len() <= LONGEST {
            write!(f, "{}/{}", self.turn, self.step)
        } else {
            write!(f, "{}/{}", blake3::hash(self.turn.0.as_bytes()).to_hex(), self.step)
        }
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
        durable.store.append_steps(append).await?;
        Ok(result)
    }

    pub(crate) fn step_key(&self, step: u32) -> StepKey {
        let (turn, epoch) = match &self.durable {
            Some(durable) => (durable.turn.clone(), durable.epoch),
            None => (TurnId(self.message.id.to_string()), Epoch::default()),
        };
        StepKey { turn, step, epoch }
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
