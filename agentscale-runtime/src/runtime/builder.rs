use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

use agentscale_core::checkpoint::{CheckpointStore, Durability, StoreSet, Upcasters};
use agentscale_core::metrics::Metrics;
use agentscale_core::observe::Observer;
use agentscale_core::runs::{InProcessRunStreams, RunStreams};
use agentscale_core::time::SystemClock;
use agentscale_core::transport::{DirectTransport, DirectTransportConfig, Inbox, Subscription};
use agentscale_core::{
    AgentType, Clock, Error, ErrorKind, HybridClock, KnowledgeClient, LlmProvider, Result, Transport,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Inner, Runtime, Shared, TURN_OVERHEAD, sweep};
use crate::admission::Admission;
use crate::agent::Agent;
use crate::blocking::BlockingPool;
use crate::config::{Pool, RuntimeConfig};
use crate::outbox::Outbox;
use crate::permits::Permits;
use crate::pool::{AgentPool, AnyPool, PoolInbox};
use crate::state_lock::StateLock;
use crate::stats::Counters;

type MakePool = Box<dyn FnOnce(Arc<Shared>, AgentType) -> (Arc<dyn AnyPool>, Arc<dyn Inbox>) + Send>;

/// Describes a runtime.
#[derive(Default)]
pub struct RuntimeBuilder {
    config: Option<RuntimeConfig>,
    clock: Option<Arc<dyn Clock>>,
    transport: Option<Arc<dyn Transport>>,
    store: Option<Arc<dyn CheckpointStore>>,
    folder: Option<PathBuf>,
    lock: Option<StateLock>,
    knowledge: Option<Arc<dyn KnowledgeClient>>,
    llm: Option<Arc<dyn LlmProvider>>,
    run_streams: Option<Arc<dyn RunStreams>>,
    observer: Option<Arc<dyn Observer>>,
    metrics: Metrics,
    upcasters: Upcasters,
    pools: Vec<(String, Pool, MakePool)>,
}

impl RuntimeBuilder {
    /// Sets the options.
    #[must_use]
    pub fn config(mut self, config: RuntimeConfig) -> Self {
        self.config = Some(config);
        self
    }

    /// Sets the clock of deadlines and stamps; the machine's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Sets the transport; direct calls within this process by default.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Sets what keeps the agents' threads, and locks its folder, if it has one, until the runtime is gone.
    #[must_use]
    pub fn stores(mut self, stores: impl Into<StoreSet>) -> Self {
        let StoreSet { checkpoints, folder, .. } = stores.into();
        self.store = Some(checkpoints);
        self.folder = folder.or(self.folder);
        self
    }

    /// Sets what keeps the agents' threads.
    #[must_use]
    pub fn checkpoints(mut self, store: impl CheckpointStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Names the folder that this runtime alone may use: it is locked until the runtime is gone.
    #[must_use]
    pub fn state_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Takes over the lock of the state folder, for a host that opened files of the folder under it.
    #[must_use]
    pub fn state_lock(mut self, lock: StateLock) -> Self {
        self.lock = Some(lock);
        self
    }

    /// Sets the knowledge that agents recall from.
    #[must_use]
    pub fn knowledge(mut self, knowledge: impl KnowledgeClient) -> Self {
        self.knowledge = Some(Arc::new(knowledge));
        self
    }

    /// Sets the provider of models.
    #[must_use]
    pub fn llm(mut self, provider: impl LlmProvider) -> Self {
        self.llm = Some(Arc::new(provider));
        self
    }

    /// Sets what keeps the events that turns emit; the memory of this process by default, within bounds.
    #[must_use]
    pub fn run_streams(mut self, streams: impl RunStreams) -> Self {
        self.run_streams = Some(Arc::new(streams));
        self
    }

    /// Sets who is told of finished and failed turns and of dead letters; nobody by default.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets the registry that the runtime records its metrics in; one of its own by default.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Sets how states of older shapes are read.
    #[must_use]
    pub fn upcasters(mut self, upcasters: Upcasters) -> Self {
        self.upcasters = upcasters;
        self
    }

    /// Adds a pool: the agents of one type.
    #[must_use]
    pub fn pool<A: Agent>(mut self, agent_type: &str, agent: A, options: Pool) -> Self {
        let make_options = options.clone();
        let make: MakePool = Box::new(move |shared, agent_type| {
            let pool = Arc::new(AgentPool::new(shared, agent, agent_type, make_options));
            (pool.clone() as Arc<dyn AnyPool>, Arc::new(PoolInbox(pool)) as Arc<dyn Inbox>)
        });
        self.pools.push((agent_type.to_owned(), options, make));
        self
    }

    /// Starts the runtime: pools take messages, and what an earlier process left in the outbox is sent again.
    ///
    /// # Errors
    /// `invalid_input` for a pool's name that is none or stands twice, a pool that keeps state without a store, or a
    /// limit that lets no turn run;
    /// `unsupported` for a level of durability that the store cannot reach; `already_exists` where another process
    /// runs on the state folder; what the transport gives.
    pub async fn start(self) -> Result<Runtime> {
        self.check()?;
        let state_lock = match (self.lock, self.folder) {
            (Some(lock), _) => Some(lock),
            (None, folder) => folder.map(StateLock::acquire).transpose()?,
        };
        let config = self.config.unwrap_or_default();
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let transport = self.transport.unwrap_or_else(|| {
            Arc::new(DirectTransport::with_clock(DirectTransportConfig::default(), clock.clone()))
        });
        let counters = Arc::new(Counters::default());
        // Not the seeded random numbers of a test: two runtimes over one store are two nodes.
        let node = RandomState::new().hash_one(0_u8);
        let outbox = Outbox::new(
            transport.clone(),
            self.store.clone(),
            clock.clone(),
            config.store_timeout,
            counters.clone(),
        );
        let shared = Arc::new(Shared {
            node,
            tokio: Handle::current(),
            clock_of_stamps: HybridClock::new(node),
            clock,
            transport_is_durable: transport.capabilities().durable,
            outbox: Arc::new(outbox),
            transport,
            store: self.store,
            knowledge: self.knowledge,
            llm: self.llm,
            turn_overhead: self.metrics.histogram(&TURN_OVERHEAD, &[])?,
            run_streams: self.run_streams.unwrap_or_else(|| Arc::new(InProcessRunStreams::default())),
            observer: self.observer,
            metrics: self.metrics,
            upcasters: self.upcasters,
            permits: Arc::new(Permits::new(config.max_concurrent_turns)),
            blocking: BlockingPool::new(config.blocking_threads),
            admission: Admission::new(config.max_waiting_turns, config.max_waiting_bytes),
            counters,
            coarse_seconds: AtomicU32::new(0),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            idle: Notify::new(),
            draining: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            config,
        });
        let (mut pools, mut attachments) = (HashMap::new(), Vec::new());
        for (name, _, make) in self.pools {
            let agent_type = AgentType::new(name)?;
            let (pool, inbox) = make(shared.clone(), agent_type.clone());
            let attached = shared.transport.attach(Subscription::pool(agent_type.clone()), inbox).await;
            pools.insert(agent_type, pool);
            match attached {
                Ok(attachment) => attachments.push(attachment),
                Err(error) => {
                    shared.stop();
                    pools.values().for_each(|pool: &Arc<dyn AnyPool>| pool.close());
                    return Err(error);
                }
            }
        }
        shared.tasks.spawn(shared.outbox.clone().run(shared.stop.clone()));
        shared.tasks.spawn(sweep(shared.clone(), pools.values().cloned().collect()));
        Ok(Runtime {
            inner: Arc::new(Inner { shared, pools, _attachments: attachments, _state_lock: state_lock }),
        })
    }

    fn check(&self) -> Result<()> {
        self.config.as_ref().map_or(Ok(()), RuntimeConfig::check)?;
        let refused = |name: &str, reason: &'static str| {
            Error::new(ErrorKind::InvalidInput, "start runtime")
                .with_context("pool", name)
                .with_context("reason", reason)
        };
        for (index, (name, options, _)) in self.pools.iter().enumerate() {
            AgentType::new(name.as_str())?;
            if self.pools[..index].iter().any(|(other, _, _)| other == name) {
                return Err(refused(name, "two pools of one name"));
            }
            let level = options.durability;
            match &self.store {
                None if level > Durability::Volatile => {
                    return Err(refused(name, "keeps state, and there is no store"));
                }
                Some(store) if level > store.capabilities().strongest => {
                    return Err(Error::new(ErrorKind::Unsupported, "start runtime")
                        .with_context("pool", name)
                        .with_context("durability", format_args!("{level:?}")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pools: Vec<_> = self.pools.iter().map(|(name, options, _)| (name, options)).collect();
        f.debug_struct("RuntimeBuilder").field("pools", &pools).finish_non_exhaustive()
    }
}
