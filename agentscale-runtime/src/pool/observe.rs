//! What a pool tells the runtime's observer. Without one, nothing is built.

use agentscale_core::observe::{Observation, ObservationLevel};
use agentscale_core::{Address, AgentMessage, Destination, Error, TaskName};

use super::AgentPool;
use crate::agent::Agent;

impl<A: Agent> AgentPool<A> {
    pub(super) fn observe_turn(&self, message: &AgentMessage) {
        self.observe(ObservationLevel::Info, "turn.finished", message, None);
    }

    pub(super) fn observe_failure(&self, message: &AgentMessage, error: &Error) {
        self.observe(ObservationLevel::Warning, "turn.failed", message, Some(error));
    }

    pub(super) fn observe_dead_letter(&self, message: &AgentMessage, error: &Error) {
        self.observe(ObservationLevel::Error, "message.dead_lettered", message, Some(error));
    }

    fn observe(
        &self,
        level: ObservationLevel,
        name: &'static str,
        message: &AgentMessage,
        error: Option<&Error>,
    ) {
        let Some(observer) = &self.runtime.observer else { return };
        let mut observation = Observation::new(level, name, self.runtime.stamp())
            .with_tenant(message.tenant.clone())
            .with_field("message", message.id.to_string());
        observation.task = TaskName::new(message.id.to_string()).ok();
        observation.trace = message.trace.as_ref().and_then(|trace| trace.trace_id());
        if let Destination::Agent(Address { agent_type, key }) = &message.to {
            observation =
                observation.with_agent(Address { agent_type: agent_type.clone(), key: key.clone() });
        }
        if let Some(error) = error {
            observation =
                observation.with_field("kind", error.kind().as_str()).with_field("error", error.to_string());
        }
        observer.emit(observation);
    }
}
