use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agentscale_core::checkpoint::{CheckpointStore, Durability, Epoch, Step, TurnId};
use agentscale_core::knowledge::Hit;
use agentscale_core::runs::RunId;
use agentscale_core::{
    Address, AgentId, AgentKey, AgentMessage, AgentType, Body, CallChain, Destination, Error, ErrorKind,
    MessageKind, Result, Tenant,
};
use tokio::time::Instant;

use crate::emission::Emission;
use crate::permits::Waits;
use crate::pool::turn_id;
use crate::runtime::Shared;

/// What the parts of a turn share.
pub(crate) struct TurnContext<'a> {
    pub(crate) runtime: &'a Arc<Shared>,
    pub(crate) tenant: &'a Tenant,
    pub(crate) agent_type: &'a AgentType,
    pub(crate) key: &'a AgentKey,
    pub(crate) message: &'a AgentMessage,
    pub(crate) recalled: &'a [Hit],
    pub(crate) durable: Option<DurableTurn<'a>>,
    pub(crate) ends: Option<Instant>,
    pub(crate) waits: &'a Waits,
    pub(crate) emission: &'a Emission,
    steps: AtomicU32,
    /// Nanoseconds that the turn waited for models.
    model_nanos: AtomicU64,
    outbox: Mutex<Vec<AgentMessage>>,
}

/// What a turn that is kept needs.
#[derive(Debug)]
pub(crate) struct DurableTurn<'a> {
    pub(crate) store: &'a Arc<dyn CheckpointStore>,
    pub(crate) thread: &'a AgentId,
    pub(crate) epoch: Epoch,
    pub(crate) turn: TurnId,
    pub(crate) journal: Vec<Step>,
    pub(crate) level: Durability,
    /// Whether the journal holds steps of this turn.
    has_journal: AtomicBool,
}

impl<'a> DurableTurn<'a> {
    pub(crate) fn new(
        store: &'a Arc<dyn CheckpointStore>,
        thread: &'a AgentId,
        epoch: Epoch,
        turn: TurnId,
        journal: Vec<Step>,
        level: Durability,
    ) -> Self {
        let has_journal = AtomicBool::new(!journal.is_empty());
        Self { store, thread, epoch, turn, journal, level, has_journal }
    }

    pub(crate) fn begins_journal(&self) {
        self.has_journal.store(true, Ordering::Relaxed);
    }
}

impl<'a> TurnContext<'a> {
    pub(crate) fn new(
        runtime: &'a Arc<Shared>,
        agent: (&'a Tenant, &'a AgentType, &'a AgentKey),
        message: &'a AgentMessage,
        waits: &'a Waits,
        emission: &'a Emission,
    ) -> Self {
        let (tenant, agent_type, key) = agent;
        Self {
            runtime,
            tenant,
            agent_type,
            key,
            message,
            recalled: &[],
            durable: None,
            ends: None,
            waits,
            emission,
            steps: AtomicU32::new(0),
            model_nanos: AtomicU64::new(0),
            outbox: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn agent(&self) -> AgentId {
        AgentId { tenant: self.tenant.clone(), agent_type: self.agent_type.clone(), key: self.key.clone() }
    }

    pub(crate) fn run(&self) -> RunId {
        RunId::new(self.agent(), turn_id(self.message))
    }

    /// Of the claim, or where there is none, higher than those of earlier attempts.
    pub(crate) fn epoch(&self) -> Epoch {
        let now = || Epoch { incarnation: 0, counter: self.runtime.clock.unix_micros() };
        self.durable.as_ref().map_or_else(now, |durable| durable.epoch)
    }

    pub(crate) fn is_durable(&self) -> bool {
        self.durable.is_some()
    }

    /// The turn, if steps of it stand in the journal.
    pub(crate) fn journaled(&self) -> Option<TurnId> {
        let durable = self.durable.as_ref().filter(|durable| durable.has_journal.load(Ordering::Relaxed))?;
        Some(durable.turn.clone())
    }

    pub(crate) fn begin_step(&self) -> u32 {
        self.steps.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for a model, and keeps account of how long.
    pub(crate) async fn wait_for_model<T>(&self, answer: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let answer = answer.await;
        let waited = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.model_nanos.fetch_add(waited, Ordering::Relaxed);
        answer
    }

    /// What is left of the turn's time.
    pub(crate) fn time_left(&self) -> Duration {
        self.ends
            .map_or(self.runtime.config.turn_timeout, |ends| ends.saturating_duration_since(Instant::now()))
    }

    /// A message of this agent, caused by the one that it handles.
    pub(crate) fn message(&self, kind: MessageKind, to: Destination, body: Body) -> AgentMessage {
        let mut message = AgentMessage::new(kind, self.tenant.clone(), to, body, self.runtime.stamp());
        message.from = Some(Address { agent_type: self.agent_type.clone(), key: self.key.clone() });
        message.account.clone_from(&self.message.account);
        message.priority = self.message.priority;
        message.trace.clone_from(&self.message.trace);
        message.correlation = Some(self.message.id);
        message
    }

    pub(crate) fn chain_for_ask(&self, to: &Address) -> Result<CallChain> {
        let chain = &self.message.chain;
        let me = Address { agent_type: self.agent_type.clone(), key: self.key.clone() };
        let refused = |reason| {
            Error::new(ErrorKind::InvalidInput, "ask agent")
                .with_context("agent", format_args!("{}/{}", to.agent_type, to.key))
                .with_context("reason", reason)
        };
        if *to == me || chain.contains(to) {
            return Err(refused("it waits for this turn"));
        }
        if chain.depth() >= self.runtime.config.max_call_depth {
            return Err(refused("the chain of asks is too long"));
        }
        Ok(chain.then(me))
    }

    /// Keeps a message until the turn has committed.
    pub(crate) fn leave(&self, message: AgentMessage) {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    pub(crate) fn model_wait(&self) -> Duration {
        Duration::from_nanos(self.model_nanos.load(Ordering::Relaxed))
    }

    pub(crate) fn into_outbox(self) -> Vec<AgentMessage> {
        self.outbox.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TurnContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnContext")
            .field("message", &self.message.id)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
