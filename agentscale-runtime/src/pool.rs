//! The agents of one type: their registry, their mailboxes, and the workers that run the woken ones.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use agentscale_core::transport::{Delivery, Inbox, Refused};
use agentscale_core::{AgentKey, AgentType, Destination, Error, ErrorKind, Tenant};

use crate::admission::Admitted;
use crate::agent::Agent;
use crate::config::Pool;
use crate::emission::Emission;
use crate::runtime::Shared;
use crate::stats::count;

mod activation;
mod commit;
mod crew;
mod failure;
mod handle;
mod later;
mod observe;
mod pace;
mod registry;
mod repeat;
mod slot;
mod sweep;
mod woken;
mod worker;

use crew::Crew;
use registry::Registry;
pub(crate) use repeat::turn_id;
use slot::{Queued, Taken};
pub(crate) use sweep::{AnyPool, SlotInfo};
use worker::Wake;

/// The agents of one type.
pub(crate) struct AgentPool<A: Agent> {
    runtime: Arc<Shared>,
    agent: A,
    agent_type: AgentType,
    options: Pool,
    registry: Registry<A::State>,
    crew: Crew<Wake<A::State>>,
}

impl<A: Agent> AgentPool<A> {
    pub(crate) fn new(runtime: Arc<Shared>, agent: A, agent_type: AgentType, options: Pool) -> Self {
        let crew = Crew::new(runtime.tokio.metrics().num_workers());
        Self { runtime, agent, agent_type, options, registry: Registry::default(), crew }
    }

    /// Puts a delivery into its agent's mailbox and wakes the agent.
    fn accept(self: &Arc<Self>, delivery: Delivery) -> Result<(), Refused> {
        if self.runtime.is_draining() && delivery.message.from.is_none() {
            return Err(Refused::new(delivery, Error::new(ErrorKind::Unavailable, "deliver while draining")));
        }
        let bytes = delivery.size_hint();
        let refused = match Admitted::take(&self.runtime, bytes) {
            Ok(admitted) => {
                match self.enqueue(Queued { delivery, admitted, unsure: None, emission: Emission::default() })
                {
                    Ok(()) => return Ok(()),
                    Err((queued, error)) => Refused::new(queued.delivery, error),
                }
            }
            Err(error) => Refused::new(delivery, error),
        };
        count(&self.runtime.counters.refused);
        Err(refused)
    }

    /// As [`accept`](Self::accept), for what is admitted already.
    fn enqueue(self: &Arc<Self>, mut queued: Queued) -> Result<(), (Queued, Error)> {
        let Destination::Agent(address) = &queued.delivery.message.to else {
            let error = Error::new(ErrorKind::InvalidInput, "deliver to agent")
                .with_context("reason", "goes to no agent");
            return Err((queued, error));
        };
        let mut slot = self.registry.slot(&queued.delivery.message.tenant, &address.key);
        loop {
            match slot.take(queued, &self.options.mailbox) {
                Taken::Queued => return Ok(()),
                Taken::Wakes(first, activation) => {
                    let lent = first.delivery.lends_thread();
                    let wake = Wake { slot, activation, first };
                    if lent {
                        self.run_here(wake);
                    } else {
                        self.wake(wake);
                    }
                    return Ok(());
                }
                Taken::Gone(back) => {
                    slot = self.registry.slot(&slot.tenant, &slot.key);
                    queued = back;
                }
                Taken::Refused(back, error) => return Err((back, error)),
            }
        }
    }

    fn agent_id(&self, tenant: &Tenant, key: &AgentKey) -> agentscale_core::AgentId {
        agentscale_core::AgentId {
            tenant: tenant.clone(),
            agent_type: self.agent_type.clone(),
            key: key.clone(),
        }
    }
}

impl<A: Agent> fmt::Debug for AgentPool<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentPool").field("agent_type", &self.agent_type).finish_non_exhaustive()
    }
}

/// Takes a pool's deliveries from the transport.
pub(crate) struct PoolInbox<A: Agent>(pub(crate) Arc<AgentPool<A>>);

impl<A: Agent> Inbox for PoolInbox<A> {
    fn deliver(&self, delivery: Delivery) -> Result<(), Refused> {
        self.0.accept(delivery)
    }
}

impl<A: Agent> fmt::Debug for PoolInbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The seconds since the runtime started, coarsely: read without a clock.
fn coarse_now(runtime: &Shared) -> u32 {
    runtime.coarse_seconds.load(Ordering::Relaxed)
}
