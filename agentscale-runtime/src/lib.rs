//! Agents, pools and turns: composed from the traits of `agentscale-core`.
//!
//! An [`Agent`] handles one message at a time over typed state. A [`Runtime`] activates agents on their first
//! message, runs each woken agent until its mailbox is empty, and commits each turn as one fenced write: state,
//! outgoing messages and the recorded result together.
//!
//! ```
//! use agentscale_core::{AgentMessage, Result, Tenant};
//! use agentscale_runtime::{Agent, Outcome, Pool, Runtime, Turn};
//! use async_trait::async_trait;
//!
//! struct Counter;
//!
//! #[async_trait]
//! impl Agent for Counter {
//!     type State = u64;
//!
//!     async fn handle(&self, turn: &mut Turn<'_, u64>, message: &AgentMessage) -> Result<Outcome> {
//!         *turn.state_mut() += *message.body::<u64>()?;
//!         Ok(turn.reply(*turn.state()))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! let runtime = Runtime::builder().pool("counter", Counter, Pool::volatile()).start().await?;
//! let visits = runtime.agent(&Tenant::new("acme")?, "counter", "visits")?;
//! visits.tell(2_u64).await?;
//! assert_eq!(visits.ask::<_, u64>(3_u64).await?, 5);
//! # Ok(())
//! # }
//! ```
//!
//! Not for work without an address: a plain task is cheaper than an agent that nobody names again. Not for code that
//! blocks or computes for long between two waits, unless within [`Turn::blocking`]. And not a cluster: a runtime runs the agents
//! of one process; others share its work through the `Transport` and the `CheckpointStore` that it is given.

mod admission;
mod agent;
mod agent_ref;
mod blocking;
mod config;
mod emission;
mod fields;
mod jobs;
mod machine;
mod outbox;
mod patience;
mod permits;
mod pool;
mod runtime;
mod schedules;
mod state_lock;
mod stats;
mod turn;

pub use agent::{Agent, Outcome};
pub use agent_ref::AgentRef;
pub use config::{Pool, RuntimeConfig, SupervisionConfig};
pub use jobs::{
    AgentJob, AgentJobs, JobEnd, JobHandler, JobRun, JobWorker, JobWorkerBuilder, JobWorkerConfig,
    JobsDrained,
};
pub use machine::Machine;
pub use runtime::{AgentInfo, Drained, Runtime, RuntimeBuilder};
pub use schedules::{RunningScheduler, Scheduler, SchedulerConfig, SchedulerStats};
pub use state_lock::StateLock;
pub use stats::RuntimeStats;
pub use turn::{StepKey, Turn, TurnKnowledge, TurnLlm};
