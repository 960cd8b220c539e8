//! What the runtime does with a pool whose type it does not know.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use agentscale_core::{AgentKey, Tenant};
use async_trait::async_trait;

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

#[async_trait]
pub(crate) trait AnyPool: Debug + Send + Sync {
    fn options(&self) -> &Pool;

    /// Takes agents from memory: those idle for too long, those over the pool's limit, and under memory pressure
    /// the longer idle half.
    async fn sweep(&self, pressure: bool);

    /// Starts workers in place of those that are held by code that blocks.
    fn relieve(self: Arc<Self>);

    /// Ends what waits for messages.
    fn close(&self);

    fn look(&self, tenant: &Tenant, key: &AgentKey) -> Option<SlotInfo>;

    /// The keys of agents in memory or with waiting messages.
    fn live(&self, tenant: &Tenant) -> Vec<(AgentKey, SlotInfo)>;
}

#[async_trait]
impl<A: Agent> AnyPool for AgentPool<A> {
    fn options(&self) -> &Pool {
        &self.options
    }

    async fn sweep(&self, pressure: bool) {
        let now = coarse_now(&self.runtime);
        let idle_seconds = u32::try_from(self.options.idle_timeout.as_secs()).unwrap_or(u32::MAX);
        let idle_before = now.checked_sub(idle_seconds);
        let mut idle = Vec::new();
        self.registry.visit(|slot| idle.extend(slot.idle_since())).await;
        let halved = if pressure { idle.len().div_ceil(2) } else { 0 };
        let over = idle.len().saturating_sub(self.options.max_active);
        let mut surplus = Surplus::of(idle, halved.max(over));
        if idle_before.is_none() && surplus.is_empty() {
            return;
        }
        let mut passivated = 0;
        let sweep = self.registry.retain(|slot| {
            let goes = |last| idle_before.is_some_and(|before| last <= before) || surplus.takes(last);
            match slot.passivate(goes) {
                Passivated::Stays => true,
                Passivated::Active => {
                    passivated += 1;
                    false
                }
                Passivated::Cold => false,
            }
        });
        sweep.await;
        self.runtime.counters.passivated.fetch_add(passivated, Ordering::Relaxed);
    }

    fn relieve(self: Arc<Self>) {
        for home in self.crew.relieve() {
            self.start_worker(home);
        }
    }

    fn close(&self) {
        self.crew.close();
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

/// The agents that are longest idle: those whose last turn was before `newest`, and some of that second.
struct Surplus {
    newest: u32,
    of_newest: usize,
}

impl Surplus {
    fn of(mut idle: Vec<u32>, agents: usize) -> Self {
        if agents == 0 {
            return Self { newest: 0, of_newest: 0 };
        }
        let (older, newest, _) = idle.select_nth_unstable(agents - 1);
        let newest = *newest;
        let of_newest = agents - older.iter().filter(|last| **last < newest).count();
        Self { newest, of_newest }
    }

    fn is_empty(&self) -> bool {
        self.of_newest == 0
    }

    fn takes(&mut self, last_active: u32) -> bool {
        if self.of_newest > 0 && last_active == self.newest {
            self.of_newest -= 1;
            return true;
        }
        last_active < self.newest
    }
}
