use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentscale_core::time::SystemClock;
use agentscale_core::{
    Address, AgentKey, AgentMessage, Body, Clock, Destination, HybridClock, MessageKind, Stamp, Tenant,
};

/// Agents that add up what they are told, built in one way. Every message is a full envelope.
pub(crate) trait Fleet: Send + Sync + Sized + 'static {
    /// How the agents are built.
    const NAME: &'static str;

    /// A fleet without agents.
    fn start(handled: Handled) -> impl Future<Output = Self> + Send;

    /// Adds an agent and tells it something.
    fn wake(&self, agent: usize) -> impl Future<Output = ()> + Send;

    /// Keeps a handle to each of the first agents, as a host does that speaks to them often.
    fn hold(&mut self, agents: usize);

    /// Tells a held agent something.
    fn tell(&self, agent: usize, what: u64) -> impl Future<Output = ()> + Send;

    /// Asks a held agent and waits for the answer.
    fn ask(&self, agent: usize, what: u64) -> impl Future<Output = u64> + Send;

    /// Ends the agents.
    fn stop(self) -> impl Future<Output = ()> + Send;
}

/// Counts what all agents of a fleet have handled.
#[derive(Clone, Default)]
pub(crate) struct Handled(Arc<AtomicU64>);

impl Handled {
    pub(crate) fn one(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Waits until so many messages were handled.
    pub(crate) async fn reach(&self, count: u64) {
        while self.count() < count {
            tokio::task::yield_now().await;
        }
    }
}

/// Makes the envelopes of the fleets that have no runtime to make them.
pub(crate) struct Envelopes {
    clock: SystemClock,
    stamps: HybridClock,
    tenant: Tenant,
}

impl Envelopes {
    pub(crate) fn new() -> Self {
        Self { clock: SystemClock::new(), stamps: HybridClock::new(1), tenant: tenant() }
    }

    pub(crate) fn message(&self, kind: MessageKind, to: &Address, what: u64) -> AgentMessage {
        let to = Destination::Agent(to.clone());
        AgentMessage::new(kind, self.tenant.clone(), to, Body::new(what), self.stamp())
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.stamps.stamp(self.clock.unix_micros())
    }
}

pub(crate) fn tenant() -> Tenant {
    Tenant::new("acme").expect("a tenant's name")
}

/// A key of 16 bytes.
pub(crate) fn key(agent: usize) -> AgentKey {
    AgentKey::new(format!("agent-{agent:010}")).expect("an agent's name")
}

pub(crate) fn address(agent: usize) -> Address {
    Address { agent_type: "adder".try_into().expect("a type's name"), key: key(agent) }
}
