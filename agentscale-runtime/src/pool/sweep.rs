//! What the runtime does with a pool whose type it does not know.

use std::fmt::Debug;
use std::sync::atomic::Ordering;

use agentscale_core::{AgentKey, Tenant};

use super::slot::Passivated;
use super::{AgentPool, coarse_now};
use crate::agent::Agent;
use crate::config::Pool;

/// What a pool knows of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotInfo {
    pub(crate) woken: bool,
    pub(crate) active: bool,
    pub(crate) queued: usize,
}

pub(crate) trait AnyPool: Debug + Send + Sync {
    fn options(&self) -> &Pool;

    /// Takes agents from memory: those idle for too long, those over the pool's limit, and under memory pressure
    /// the longer idle half.
    fn sweep(&self, pressure: bool);

    fn look(&self, tenant: &Tenant, key: &AgentKey) -> Option<SlotInfo>;

    /// The keys of agents in memory or with waiting messages.
    fn live(&self, tenant: &Tenant) -> Vec<(AgentKey, SlotInfo)>;
}

impl<A: Agent> AnyPool for AgentPool<A> {
    fn options(&self) -> &Pool {
        &self.options
    }

    fn sweep(&self, pressure: bool) {
        let now = coarse_now(&self.runtime);
        let idle_seconds = u32::try_from(self.options.idle_timeout.as_secs()).unwrap_or(u32::MAX);
        let mut before = now.checked_sub(idle_seconds);
        let mut idle = Vec::new();
        self.registry.for_each(|slot| idle.extend(slot.idle_since()));
        let surplus =
            idle.len().saturating_sub(self.options.max_active).max(if pressure { idle.len() / 2 } else { 0 });
        if surplus > 0 {
            let (_, newest_to_go, _) = idle.select_nth_unstable(surplus - 1);
            before = before.max(Some(*newest_to_go));
        }
        let Some(before) = before else { return };
        let mut passivated = 0;
        self.registry.retain(|slot| match slot.passivate(|last_active| last_active <= before) {
            Passivated::Stays => true,
            Passivated::Active => {
                passivated += 1;
                false
            }
            Passivated::Cold => false,
        });
        self.runtime.counters.passivated.fetch_add(passivated, Ordering::Relaxed);
    }

    fn look(&self, tenant: &Tenant, key: &AgentKey) -> Option<SlotInfo> {
        let (woken, active, queued) = self.registry.known(tenant, key)?.look();
        Some(SlotInfo { woken, active, queued })
    }

    fn live(&self, tenant: &Tenant) -> Vec<(AgentKey, SlotInfo)> {
        let mut live = Vec::new();
        self.registry.for_each(|slot| {
            if slot.tenant == *tenant {
                let (woken, active, queued) = slot.look();
                live.push((slot.key.clone(), SlotInfo { woken, active, queued }));
            }
        });
        live
    }
}
