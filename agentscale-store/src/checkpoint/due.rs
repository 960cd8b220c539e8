//! The task that prunes unasked.

use std::future::Future;
use std::sync::Weak;
use std::time::Duration;

use agentscale_core::Result;
use agentscale_core::checkpoint::{RetentionPolicy, Version};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::retention::is_due;

/// Threads that wait to be pruned, at most.
const QUEUE: usize = 4_096;
/// How long a thread waits for others to be pruned with. Checkpoints of the same time share pages of the
/// file: removed together, they free whole pages instead of changing each page several times.
const COMPANY: Duration = Duration::from_millis(20);
/// Threads that are pruned together, at most.
const TOGETHER: usize = 512;
/// How often outcomes are looked at whose retention may have ended.
const SWEEP: Duration = Duration::from_secs(600);

/// A store that prunes.
pub(crate) trait Pruner: Send + Sync + 'static {
    /// Prunes the checkpoints of threads.
    fn prune(&self, threads: &[i64], policy: &RetentionPolicy) -> impl Future<Output = Result<()>> + Send;

    /// Removes what no thread is named for: outcomes whose retention has ended.
    fn sweep(&self) -> impl Future<Output = Result<()>> + Send;
}

/// Where the writer says which threads are to be pruned.
#[derive(Debug)]
pub(crate) struct Due {
    policy: RetentionPolicy,
    threads: mpsc::Sender<i64>,
}

impl Due {
    pub(crate) fn new(policy: &RetentionPolicy) -> (Self, mpsc::Receiver<i64>) {
        let (threads, due) = mpsc::channel(QUEUE);
        (Self { policy: policy.clone(), threads }, due)
    }

    pub(crate) fn moved(&self, thread: i64, to: Version) {
        if is_due(&self.policy, to) {
            // Where too many wait, this thread is named again when it has grown by as much once more.
            let _ = self.threads.try_send(thread);
        }
    }
}

/// Prunes the threads that are due, and outcomes whose retention has ended. Ends with the store.
pub(crate) async fn run<P: Pruner>(store: Weak<P>, mut due: mpsc::Receiver<i64>, policy: RetentionPolicy) {
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut threads = Vec::new();
        tokio::select! {
            _ = sweep.tick() => {}
            count = gather(&mut due, &mut threads) => if count == 0 { return },
        }
        let Some(store) = store.upgrade() else { return };
        let done =
            if threads.is_empty() { store.sweep().await } else { store.prune(&threads, &policy).await };
        if let Err(error) = done {
            tracing::warn!(%error, "cannot prune checkpoints");
        }
    }
}

/// Waits for a thread, then a little for more; none once the store has ended.
async fn gather(due: &mut mpsc::Receiver<i64>, threads: &mut Vec<i64>) -> usize {
    let first = due.recv_many(threads, TOGETHER).await;
    if first > 0 {
        let more = async {
            while threads.len() < TOGETHER && due.recv_many(threads, TOGETHER - threads.len()).await > 0 {}
        };
        // Nobody else came in time.
        let _ = timeout(COMPANY, more).await;
        threads.sort_unstable();
        threads.dedup();
    }
    threads.len()
}
