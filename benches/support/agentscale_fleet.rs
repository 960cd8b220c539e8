use agentscale_core::{AgentId, AgentMessage, AgentType, MessageKind, Result, Tenant};
use agentscale_runtime::{Agent, AgentRef, Outcome, Pool, Runtime, Turn};
use async_trait::async_trait;

use super::fleet::{Fleet, Handled, key, tenant};

/// Volatile agents of this runtime.
pub(crate) struct AgentscaleFleet {
    runtime: Runtime,
    tenant: Tenant,
    agent_type: AgentType,
    held: Vec<AgentRef>,
}

struct Adder(Handled);

#[async_trait]
impl Agent for Adder {
    type State = u64;

    async fn handle(&self, turn: &mut Turn<'_, u64>, message: &AgentMessage) -> Result<Outcome> {
        *turn.state_mut() += *message.body::<u64>()?;
        self.0.one();
        Ok(match message.kind {
            MessageKind::Request => turn.reply(*turn.state()),
            _ => Outcome::Done,
        })
    }
}

impl AgentscaleFleet {
    fn agent(&self, agent: usize) -> AgentRef {
        let agent_type = self.agent_type.clone();
        self.runtime.agent_by_id(AgentId { tenant: self.tenant.clone(), agent_type, key: key(agent) })
    }
}

impl Fleet for AgentscaleFleet {
    const NAME: &'static str = "agentscale";

    async fn start(handled: Handled) -> Self {
        // As many agents stay in memory as the others hold.
        let pool = Pool::volatile().max_active(usize::MAX);
        let runtime = Runtime::builder().pool("adder", Adder(handled), pool).start().await;
        let agent_type = AgentType::new("adder").expect("a type's name");
        Self { runtime: runtime.expect("a runtime"), tenant: tenant(), agent_type, held: Vec::new() }
    }

    async fn wake(&self, agent: usize) {
        self.agent(agent).tell(1_u64).await.expect("told");
    }

    fn hold(&mut self, agents: usize) {
        self.held = (0..agents).map(|agent| self.agent(agent)).collect();
    }

    async fn tell(&self, agent: usize, what: u64) {
        self.held[agent].tell(what).await.expect("told");
    }

    async fn ask(&self, agent: usize, what: u64) -> u64 {
        self.held[agent].ask(what).await.expect("an answer")
    }

    async fn stop(self) {
        self.runtime.drain(std::time::Duration::from_secs(60)).await;
    }
}
