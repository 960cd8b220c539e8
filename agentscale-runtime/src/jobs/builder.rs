use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use agentscale_core::jobs::{JobKind, QueueName, WorkerId};
use agentscale_core::metrics::Metrics;
use agentscale_core::observe::Observer;
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, Error, ErrorKind, JobQueue, Result};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::JobWorkerConfig;
use super::handler::JobHandler;
use super::runs::Runs;
use super::shared::Shared;
use super::watch::Watch;
use super::{JobWorker, claimer, dispatcher, finisher, heart};

/// Describes a [`JobWorker`].
pub struct JobWorkerBuilder {
    queue: Arc<dyn JobQueue>,
    queues: Vec<QueueName>,
    handlers: HashMap<JobKind, Arc<dyn JobHandler>>,
    config: JobWorkerConfig,
    metrics: Metrics,
    observer: Option<Arc<dyn Observer>>,
}

impl JobWorkerBuilder {
    pub(super) fn new(queue: Arc<dyn JobQueue>) -> Self {
        Self {
            queue,
            queues: Vec::new(),
            handlers: HashMap::new(),
            config: JobWorkerConfig::default(),
            metrics: Metrics::new(),
            observer: None,
        }
    }

    /// Works on a queue; on several, jobs are taken from each in turn.
    #[must_use]
    pub fn queue(mut self, queue: QueueName) -> Self {
        if !self.queues.contains(&queue) {
            self.queues.push(queue);
        }
        self
    }

    /// Says who does jobs of a kind. One of a kind without a handler is a failed attempt with the kind `unsupported`.
    #[must_use]
    pub fn handler(mut self, kind: JobKind, handler: impl JobHandler) -> Self {
        self.handlers.insert(kind, Arc::new(handler));
        self
    }

    /// Says other options.
    #[must_use]
    pub fn config(mut self, config: JobWorkerConfig) -> Self {
        self.config = config;
        self
    }

    /// Records metrics there.
    #[must_use]
    pub fn metrics(mut self, metrics: &Metrics) -> Self {
        self.metrics = metrics.clone();
        self
    }

    /// Tells what becomes of jobs.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Starts the worker on the tokio runtime of the caller.
    ///
    /// # Errors
    /// `invalid_input` without a queue, and for options out of bounds; `conflict` for metrics that others have taken.
    pub fn start(self) -> Result<JobWorker> {
        self.config.check()?;
        if self.queues.is_empty() {
            return Err(
                Error::new(ErrorKind::InvalidInput, "start job worker").with_context("reason", "no queue")
            );
        }
        let watch = Watch::new(&self.metrics, self.observer, &self.queues)?;
        let (local, claimed) = mpsc::channel(self.config.buffer.max(1));
        let (ended, to_tell) = mpsc::channel(self.config.concurrency.saturating_add(self.config.buffer));
        let shared = Arc::new(Shared {
            queue: self.queue,
            queues: self.queues,
            handlers: self.handlers,
            config: self.config,
            worker: WorkerId::new(SystemClock::new().unix_micros()),
            runs: Runs::default(),
            watch,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            over: CancellationToken::new(),
            ended,
            released: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let spawn = |work| shared.tasks.spawn(work);
        spawn(boxed(&shared, claimer::run(shared.clone(), local)));
        spawn(boxed(&shared, dispatcher::run(shared.clone(), claimed)));
        spawn(boxed(&shared, finisher::run(shared.clone(), to_tell)));
        spawn(boxed(&shared, heart::beat(shared.clone())));
        spawn(boxed(&shared, heart::tidy(shared.clone())));
        Ok(JobWorker::new(shared))
    }
}

fn boxed(
    shared: &Arc<Shared>,
    work: impl Future<Output = ()> + Send + 'static,
) -> futures::future::BoxFuture<'static, ()> {
    Box::pin(shared.clone().while_alive(work))
}

impl fmt::Debug for JobWorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobWorkerBuilder")
            .field("queues", &self.queues)
            .field("kinds", &self.handlers.keys())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
