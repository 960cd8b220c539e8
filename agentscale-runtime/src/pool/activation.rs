//! An agent in memory: claimed and loaded.

use std::collections::HashMap;
use std::sync::Arc;

use agentscale_core::checkpoint::{CheckpointStore, ClaimRequest, Epoch, Step, TurnId, Version};
use agentscale_core::{AgentId, Result};
use tokio::sync::oneshot;

use super::AgentPool;
use crate::agent::Agent;
use crate::fields::{self, Committed};
use crate::patience::within;
use crate::stats::count;

pub(super) struct Activation<S> {
    pub(super) state: S,
    /// `None` where nothing is kept.
    pub(super) kept: Option<Box<Kept>>,
}

/// What an owner knows of its thread.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) thread: AgentId,
    pub(super) epoch: Epoch,
    pub(super) version: Version,
    pub(super) committed: Committed,
    pub(super) journal: HashMap<TurnId, Vec<Step>>,
    /// Whether a result may be recorded that this owner does not know of.
    pub(super) has_history: bool,
    /// Ends when what its last turn says has left.
    pub(super) leaving: Option<oneshot::Receiver<()>>,
}

impl<A: Agent> AgentPool<A> {
    /// The store of this pool's threads; `None` where nothing is kept.
    pub(super) fn store(&self) -> Option<&Arc<dyn CheckpointStore>> {
        let keeps = self.options.durability > agentscale_core::checkpoint::Durability::Volatile;
        self.runtime.store.as_ref().filter(|_| keeps)
    }

    /// Activates an agent of which nothing is kept.
    pub(super) fn activate(&self) -> Box<Activation<A::State>> {
        count(&self.runtime.counters.activated);
        Box::new(Activation { state: A::State::default(), kept: None })
    }

    /// Activates an agent of which `store` keeps a thread.
    pub(super) async fn claim(
        &self,
        store: &Arc<dyn CheckpointStore>,
        thread: AgentId,
    ) -> Result<Box<Activation<A::State>>> {
        count(&self.runtime.counters.activated);
        let request = ClaimRequest::new(thread.clone());
        let claim = within(self.runtime.config.store_timeout, "claim thread", store.claim(request));
        let claim = claim.await.map_err(|error| error.with_context("thread", &thread))?;
        if let Some(tip) = &claim.tip {
            self.runtime.observe(tip.info.stamp);
        }
        let (epoch, version) = (claim.epoch, claim.version());
        let (state, committed) = match &claim.tip {
            None => (A::State::default(), Committed::default()),
            Some(tip) => fields::decode(tip, &self.agent_type, A::SCHEMA_VERSION, &self.runtime.upcasters)?,
        };
        let has_history = claim.tip.is_some();
        let journal = claim.steps.into_iter().collect();
        let kept = Kept { thread, epoch, version, committed, journal, has_history, leaving: None };
        Ok(Box::new(Activation { state, kept: Some(Box::new(kept)) }))
    }
}
