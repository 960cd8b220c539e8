//! What the tasks of a worker share.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use agentscale_core::JobQueue;
use agentscale_core::jobs::{Finish, JobKind, QueueName, WorkerId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::JobWorkerConfig;
use super::dispatcher::Claimed;
use super::finisher::Ended;
use super::handler::JobHandler;
use super::runs::Runs;
use super::watch::Watch;

pub(super) struct Shared {
    pub(super) queue: Arc<dyn JobQueue>,
    pub(super) queues: Vec<QueueName>,
    pub(super) handlers: HashMap<JobKind, Arc<dyn JobHandler>>,
    pub(super) config: JobWorkerConfig,
    pub(super) worker: WorkerId,
    pub(super) runs: Runs,
    pub(super) watch: Watch,
    pub(super) tasks: TaskTracker,
    /// Nothing is claimed nor begun any more.
    pub(super) closing: CancellationToken,
    /// The worker has ended, as if its process had died.
    pub(super) over: CancellationToken,
    pub(super) ended: mpsc::Sender<Ended>,
    pub(super) released: AtomicUsize,
    pub(super) stopped: AtomicBool,
}

impl Shared {
    /// How long a run is surely this worker's after it was claimed or renewed: a little less than the queue says, as the
    /// clocks of two machines do not run alike.
    pub(super) fn lifetime(&self) -> Duration {
        self.config.claim_ttl() * 19 / 20
    }

    /// Whether runs are stopped because the worker ends.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Does something unless the worker is over.
    pub(super) async fn while_alive(self: Arc<Self>, work: impl Future<Output = ()>) {
        // What was cut short is found again by the queue.
        let _ = self.over.run_until_cancelled(work).await;
    }

    pub(super) async fn end(&self, ended: Ended) {
        // Nobody is told where the worker is over.
        let _ = self.ended.send(ended).await;
    }

    /// Gives back what was not begun.
    pub(super) async fn release(&self, claimed: Claimed) {
        let Claimed { job, entry } = claimed;
        self.released.fetch_add(1, Ordering::Relaxed);
        let finish = Some(Finish::release(job.run()));
        self.end(Ended { job, entry, finish, failed: None }).await;
    }
}
