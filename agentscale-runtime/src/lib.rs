//! Agents, pools and turns: composed from the traits of `agentscale-core`.
//!
//! An [`Agent`] handles one message at a time over typed state. A [`Runtime`] activates agents on their first
//! message, runs each woken agent as one task until its mailbox is empty, and commits each turn as one fenced write:
//! state, outgoing messages and the recorded result together.
//!
//! Not for work without an address: a plain task is cheaper than an agent that nobody names again.

mod agent;
mod agent_ref;
mod blocking;
mod config;
mod fields;
mod machine;
mod outbox;
mod patience;
mod permits;
mod pool;
mod runtime;
mod state_lock;
mod stats;
mod turn;

pub use agent::{Agent, Outcome};
pub use agent_ref::AgentRef;
pub use config::{Pool, RuntimeConfig, SupervisionConfig};
pub use machine::Machine;
pub use runtime::{AgentInfo, Drained, Runtime, RuntimeBuilder};
pub use state_lock::StateLock;
pub use stats::RuntimeStats;
pub use turn::{StepKey, Turn, TurnKnowledge, TurnLlm};
