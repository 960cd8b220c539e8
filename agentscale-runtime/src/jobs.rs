//! Workers: they take jobs from a queue and run them.

mod agent;
mod builder;
mod claimer;
mod config;
mod dispatcher;
mod finisher;
mod handler;
mod heart;
mod runs;
mod shared;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use agentscale_core::jobs::WorkerId;
use agentscale_core::{Error, ErrorKind, JobQueue};
use tokio::time::timeout;

pub use agent::{AgentJob, AgentJobs};
pub use builder::JobWorkerBuilder;
pub use config::JobWorkerConfig;
pub use handler::{JobEnd, JobHandler, JobRun};
use shared::Shared;

/// What is left to runs that were stopped, and to a queue that hangs.
const GRACE: Duration = Duration::from_secs(5);

/// Runs jobs of one or more queues. A cheap handle; when the last one is dropped without [`drain`](Self::drain), the worker
/// ends as if its process had died, and its jobs run elsewhere when their time is over.
///
/// It claims more jobs than run, so that no place is empty while the queue is asked; sends one heartbeat for all; and
/// tells the queue how runs ended in lists of what ended meanwhile.
#[derive(Clone)]
pub struct JobWorker {
    inner: Arc<Inner>,
}

struct Inner(Arc<Shared>);

/// How a drain of a worker went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobsDrained {
    /// Jobs that were claimed and not begun, which others have now.
    pub released: usize,
    /// Runs that were stopped at the end of the time given. Their jobs run again.
    pub cut_off: usize,
}

impl JobWorker {
    /// Starts a worker's description.
    pub fn builder(queue: Arc<dyn JobQueue>) -> JobWorkerBuilder {
        JobWorkerBuilder::new(queue)
    }

    fn new(shared: Arc<Shared>) -> Self {
        Self { inner: Arc::new(Inner(shared)) }
    }

    /// Its name, another one after each start.
    pub fn id(&self) -> WorkerId {
        self.inner.0.worker
    }

    /// Jobs that it has claimed and not finished.
    pub fn claimed(&self) -> usize {
        self.inner.0.runs.len()
    }

    /// Claims no more, gives back what was not begun, lets what runs end, and stops what is left after `patience`. The
    /// worker is over then.
    pub async fn drain(&self, patience: Duration) -> JobsDrained {
        let shared = &self.inner.0;
        shared.closing.cancel();
        let mut cut_off = 0;
        if timeout(patience, shared.runs.none_left()).await.is_err() {
            shared.stopped.store(true, Ordering::SeqCst);
            let stopped =
                || Error::new(ErrorKind::Cancelled, "run job").with_context("reason", "the worker ends");
            cut_off = shared.runs.all().iter().filter(|entry| entry.stop(stopped())).count();
            if timeout(shared.config.stop_grace + GRACE, shared.runs.none_left()).await.is_err() {
                tracing::warn!("the queue was not told of all runs: they are lost");
            }
        }
        shared.over.cancel();
        shared.tasks.close();
        shared.tasks.wait().await;
        JobsDrained { released: shared.released.load(Ordering::Relaxed), cut_off }
    }
}

impl fmt::Debug for JobWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobWorker")
            .field("id", &self.id())
            .field("queues", &self.inner.0.queues)
            .field("claimed", &self.claimed())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.0.over.cancel();
    }
}

fn late(operation: &'static str, limit: Duration) -> Error {
    Error::new(ErrorKind::DeadlineExceeded, operation).with_context("limit", format_args!("{limit:?}"))
}
