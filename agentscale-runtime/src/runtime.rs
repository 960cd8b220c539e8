//! The runtime: pools, a transport, a store, and what they share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use agentscale_core::checkpoint::{
    CheckpointStore, DeadLetterPage, HistoryRequest, OutboxCursor, PruneRequest, Pruned, ThreadPage,
    ThreadQuery, Upcasters,
};
use agentscale_core::metrics::{Histogram, HistogramSnapshot, Metric, Metrics};
use agentscale_core::observe::Observer;
use agentscale_core::runs::{EventId, RunFollower, RunId, RunStreams};
use agentscale_core::transport::Attachment;
use agentscale_core::{
    AgentId, AgentKey, AgentMessage, AgentType, Clock, Error, ErrorKind, HybridClock, KnowledgeClient,
    LlmProvider, MessageId, MessageKind, Result, Stamp, Tenant, Transport,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::agent_ref::AgentRef;
use crate::blocking::BlockingPool;
use crate::config::RuntimeConfig;
use crate::machine::resident_bytes;
use crate::outbox::Outbox;
use crate::patience::within;
use crate::permits::Permits;
use crate::pool::AnyPool;
use crate::state_lock::StateLock;
use crate::stats::{Counters, RuntimeStats};

mod builder;

pub use builder::RuntimeBuilder;

/// What is left to a hanging store once the runtime has stopped: for one operation, and for all tasks.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(5);

const TURN_OVERHEAD: Metric = Metric::new(
    "agentscale_turn_overhead_seconds",
    "Time of a kept turn from its start to its commit, less the time that it waited for models.",
)
.in_seconds();

/// What every pool and turn of a runtime shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: RuntimeConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) clock_of_stamps: HybridClock,
    /// The node of this runtime's stamps, another one after each start.
    pub(crate) node: u64,
    /// Where the tasks of agents run, wherever a message is sent from.
    pub(crate) tokio: Handle,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) transport_is_durable: bool,
    pub(crate) store: Option<Arc<dyn CheckpointStore>>,
    pub(crate) knowledge: Option<Arc<dyn KnowledgeClient>>,
    pub(crate) llm: Option<Arc<dyn LlmProvider>>,
    pub(crate) run_streams: Arc<dyn RunStreams>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) metrics: Metrics,
    pub(crate) turn_overhead: Histogram,
    pub(crate) upcasters: Upcasters,
    pub(crate) permits: Arc<Permits>,
    pub(crate) blocking: BlockingPool,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) admission: Admission,
    pub(crate) counters: Arc<Counters>,
    pub(crate) coarse_seconds: AtomicU32,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) idle: Notify,
    draining: AtomicBool,
    stopped: AtomicBool,
}

impl Shared {
    pub(crate) fn stamp(&self) -> Stamp {
        self.clock_of_stamps.stamp(self.clock.unix_micros())
    }

    /// Whether a stamp was given elsewhere: its message may have been handled by an earlier process.
    pub(crate) fn is_foreign(&self, stamp: Stamp) -> bool {
        stamp.node() != self.node
    }

    /// Whether a message was sent by the commit of an agent, and waits in the store's outbox to be settled.
    pub(crate) fn stands_in_outbox(&self, message: &AgentMessage) -> bool {
        // A message of another process stands in the outbox of the store that both share.
        let is_foreign_event =
            message.kind == MessageKind::Event && message.from.is_some() && self.is_foreign(message.stamp);
        is_foreign_event || self.outbox.holds(message.id)
    }

    /// Moves the clock past a stamp from elsewhere.
    pub(crate) fn observe(&self, stamp: Stamp) {
        if self.is_foreign(stamp) {
            // One too far ahead is counted by the clock, which stays.
            let _ = self.clock_of_stamps.observe(stamp, self.clock.unix_micros());
        }
    }

    /// How long a store may take for what is not part of a turn; little, once the runtime has stopped.
    pub(crate) fn patience(&self) -> Duration {
        if self.is_stopped() {
            LAST_PATIENCE.min(self.config.store_timeout)
        } else {
            self.config.store_timeout
        }
    }

    /// Whether no new messages are taken. A turn that ends reads this after it has given its place back, and a drain
    /// counts places after it has set it; one order of both, so that the last turn and the drain see each other.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Ends every turn at its next wait.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.stop.cancel();
    }
}

/// Runs agents. A cheap handle; when the last one is dropped without [`drain`](Self::drain), turns in flight end
/// as if the process had died: what was committed stays.
#[derive(Clone, Debug)]
pub struct Runtime {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    pools: HashMap<AgentType, Arc<dyn AnyPool>>,
    _attachments: Vec<Attachment>,
    _state_lock: Option<StateLock>,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Turns that were cut off at the end of the time given. What was committed is sent again at the next start.
    pub cut_off: usize,
}

/// What is known of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AgentInfo {
    /// The agent.
    pub agent: AgentId,
    /// Whether it is in memory.
    pub active: bool,
    /// Whether it handles a message now.
    pub running: bool,
    /// Messages that wait in its mailbox.
    pub queued: usize,
    /// The version of its newest checkpoint; `None` where nothing was committed.
    pub version: Option<u64>,
}

impl Runtime {
    /// Starts a runtime's description.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// An agent, by tenant, type and key. It is activated by its first message.
    ///
    /// # Errors
    /// `invalid_input` for a name that is none.
    pub fn agent(&self, tenant: &Tenant, agent_type: &str, key: &str) -> Result<AgentRef> {
        Ok(self.agent_by_id(AgentId::new(tenant, agent_type, key)?))
    }

    /// An agent whose names are checked already.
    pub fn agent_by_id(&self, agent: AgentId) -> AgentRef {
        AgentRef::new(self.inner.shared.clone(), agent)
    }

    /// The transport, to subscribe to topics.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.inner.shared.transport
    }

    /// Follows a run from behind an event on, or from its beginning: one that goes on, has ended, or is yet to begin.
    pub fn follow(&self, run: RunId, after: Option<EventId>) -> RunFollower {
        RunFollower::new(self.inner.shared.run_streams.clone(), run, after)
    }

    /// The registry that the runtime records its metrics in.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.shared.metrics
    }

    /// The time of a kept turn from its start to its commit, less what it waited for models, in nanoseconds.
    pub fn turn_overhead(&self) -> HistogramSnapshot {
        self.inner.shared.turn_overhead.snapshot()
    }

    /// What the runtime has done since it started.
    pub fn stats(&self) -> RuntimeStats {
        self.inner.shared.counters.read(self.inner.shared.admission.turns())
    }

    /// Agents with a thread in the store, without loading their state.
    ///
    /// # Errors
    /// `unsupported` without a store; what the store gives.
    pub async fn threads(&self, query: ThreadQuery) -> Result<ThreadPage> {
        self.patiently("list threads", self.store("list threads")?.threads(query)).await
    }

    /// Agents of a type that are in memory or have messages waiting, in no order.
    ///
    /// # Errors
    /// `not_found` for a type without a pool.
    pub fn live_agents(&self, tenant: &Tenant, agent_type: &AgentType) -> Result<Vec<AgentInfo>> {
        let pool = self.pool(agent_type)?;
        let info = |(key, slot): (AgentKey, crate::pool::SlotInfo)| AgentInfo {
            agent: AgentId { tenant: tenant.clone(), agent_type: agent_type.clone(), key },
            active: slot.active,
            running: slot.woken,
            queued: slot.queued,
            version: None,
        };
        let is_live = |info: &AgentInfo| info.active || info.running || info.queued > 0;
        Ok(pool.live(tenant).into_iter().map(info).filter(is_live).collect())
    }

    /// What is known of one agent, in memory and in the store.
    ///
    /// # Errors
    /// `not_found` for a type without a pool; what the store gives.
    pub async fn inspect(&self, agent: &AgentId) -> Result<AgentInfo> {
        let slot = self.pool(&agent.agent_type)?.look(&agent.tenant, &agent.key);
        let history = match &self.inner.shared.store {
            Some(store) => {
                let newest = HistoryRequest::new(agent.clone(), 1);
                self.patiently("inspect agent", store.history(newest)).await?
            }
            None => Vec::new(),
        };
        Ok(AgentInfo {
            agent: agent.clone(),
            active: slot.is_some_and(|slot| slot.active),
            running: slot.is_some_and(|slot| slot.woken),
            queued: slot.map_or(0, |slot| slot.queued),
            version: history.first().map(|newest| newest.version.0),
        })
    }

    /// Messages that could not be handled, oldest first.
    ///
    /// # Errors
    /// `unsupported` without a store; what the store gives.
    pub async fn dead_letters(&self, after: Option<OutboxCursor>, limit: usize) -> Result<DeadLetterPage> {
        let store = self.store("list dead letters")?;
        self.patiently("list dead letters", store.dead_letters(after, limit)).await
    }

    /// Sends dead letters again, and says how many there were.
    ///
    /// # Errors
    /// `unsupported` without a store; what the store gives.
    pub async fn redrive(&self, ids: Vec<MessageId>) -> Result<usize> {
        let store = self.store("redrive dead letters")?;
        let entries = self.patiently("redrive dead letters", store.redrive(ids)).await?;
        let ids: Vec<_> = entries.iter().map(|entry| entry.message.id).collect();
        self.inner.shared.outbox.leave_behind(&ids);
        Ok(ids.len())
    }

    /// Forgets checkpoints of one agent by its pool's policy.
    ///
    /// # Errors
    /// `not_found` for a type without a pool; `unsupported` without a store; what the store gives.
    pub async fn prune(&self, agent: &AgentId) -> Result<Pruned> {
        let policy = self.pool(&agent.agent_type)?.options().retention.clone();
        let request = PruneRequest::thread(agent.clone(), policy);
        self.patiently("prune thread", self.store("prune thread")?.prune(request)).await
    }

    /// Stops taking messages from outside, lets the turns in flight end, and cuts off what is left after `patience`.
    /// Messages that are cut off stay in the outbox that they came from; those of the host become dead letters.
    pub async fn drain(&self, patience: Duration) -> Drained {
        let shared = &self.inner.shared;
        shared.draining.store(true, Ordering::SeqCst);
        let quiet = async {
            loop {
                let idle = shared.idle.notified();
                tokio::pin!(idle);
                idle.as_mut().enable();
                if shared.admission.turns() == 0 {
                    return;
                }
                idle.await;
            }
        };
        let in_time = timeout(patience, quiet).await;
        let cut_off = match in_time {
            Ok(()) => 0,
            Err(_) => shared.admission.turns(),
        };
        shared.stop();
        shared.tasks.close();
        if timeout(GRACE, shared.tasks.wait()).await.is_err() {
            tracing::warn!("tasks outlive the drain, as the store hangs: they end by themselves");
        }
        Drained { cut_off }
    }

    fn pool(&self, agent_type: &AgentType) -> Result<&Arc<dyn AnyPool>> {
        self.inner
            .pools
            .get(agent_type)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "find pool").with_context("pool", agent_type))
    }

    async fn patiently<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        within(self.inner.shared.config.store_timeout, operation, work).await
    }

    fn store(&self, operation: &'static str) -> Result<&Arc<dyn CheckpointStore>> {
        self.inner.shared.store.as_ref().ok_or_else(|| crate::turn::missing(operation))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// Looks after idle agents until the runtime stops.
async fn sweep(shared: Arc<Shared>, pools: Vec<Arc<dyn AnyPool>>) {
    let started = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(shared.config.sweep_interval) => {}
            () = shared.stop.cancelled() => return pools.iter().for_each(|pool| pool.close()),
        }
        let seconds = u32::try_from(started.elapsed().as_secs()).unwrap_or(u32::MAX);
        shared.coarse_seconds.store(seconds, Ordering::Relaxed);
        let pressure = resident_bytes().is_some_and(|bytes| bytes > shared.config.memory_pressure_bytes);
        for pool in &pools {
            pool.sweep(pressure).await;
            pool.clone().relieve();
        }
    }
}
