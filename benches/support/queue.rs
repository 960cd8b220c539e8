//! A worker of jobs that do nothing, and who gives it some.
//!
//! The worker claims 250 jobs at a time while fewer than 1,000 are under way, and finishes each by a call of its own.
//! Jobs are added 200 at a time by four tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agentscale_core::jobs::{ClaimJobs, ClaimedJob, Finish, Job, JobId, QueueName, WorkerId};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, JobQueue, Result, Tenant};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

/// Jobs of one claim, and of one enqueue.
const CLAIM: u32 = 250;
pub(crate) const ENQUEUE: usize = 200;
/// Jobs that are under way at most.
const UNDER_WAY: usize = 1_000;
/// Tasks that add jobs.
pub(crate) const PRODUCERS: usize = 4;
/// Jobs that wait at most while they are added without an end.
const AHEAD: u64 = 20_000;

/// A worker and its queue. It ends with this.
pub(crate) struct Bench {
    queue: Arc<dyn JobQueue>,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    added: AtomicU64,
    begun: AtomicU64,
    finished: AtomicU64,
    changed: Notify,
}

impl Bench {
    pub(crate) fn start(queue: Arc<dyn JobQueue>) -> Self {
        let counts = Arc::<Counts>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(work(queue.clone(), counts.clone()));
        Self { queue, counts, _tasks: tasks }
    }

    /// Jobs a second, from before the first is added until the last is finished.
    pub(crate) async fn rate(&self, jobs: usize) -> Result<f64> {
        let goal = self.counts.finished.load(Ordering::Relaxed) + jobs as u64;
        let began = Instant::now();
        let mut producers: JoinSet<Result<()>> = JoinSet::new();
        for _ in 0..PRODUCERS {
            let queue = self.queue.clone();
            producers.spawn(async move {
                for _ in 0..jobs / PRODUCERS / ENQUEUE {
                    queue.enqueue(batch(ENQUEUE)).await?;
                }
                Ok(())
            });
        }
        for added in producers.join_all().await {
            added?;
        }
        while self.counts.finished.load(Ordering::Relaxed) < goal {
            self.counts.changed.notified().await;
        }
        Ok(jobs as f64 / began.elapsed().as_secs_f64())
    }

    /// Jobs a second that are finished in so long a time while enough are added.
    pub(crate) async fn steady_rate(&self, time: Duration) -> Result<f64> {
        let (began, before) = (Instant::now(), self.counts.finished.load(Ordering::Relaxed));
        let counts = &self.counts;
        let add = async || -> Result<()> {
            while began.elapsed() < time {
                if counts.added.load(Ordering::Relaxed) > counts.finished.load(Ordering::Relaxed) + AHEAD {
                    counts.changed.notified().await;
                    continue;
                }
                self.queue.enqueue(batch(ENQUEUE)).await?;
                counts.added.fetch_add(ENQUEUE as u64, Ordering::Relaxed);
            }
            Ok(())
        };
        let (first, second) = tokio::join!(add(), add());
        first.and(second)?;
        let finished = counts.finished.load(Ordering::Relaxed) - before;
        Ok(finished as f64 / began.elapsed().as_secs_f64())
    }

    /// How long each of some jobs waited from its enqueue to its handler, while there was nothing else to do.
    pub(crate) async fn pick_up(&self, jobs: u64) -> Result<Vec<Duration>> {
        let mut waited = Vec::new();
        for number in 0..jobs {
            tokio::time::sleep(Duration::from_millis(50 + number * 7 % 40)).await;
            let goal = self.counts.begun.load(Ordering::Relaxed) + 1;
            let began = Instant::now();
            self.queue.enqueue(batch(1)).await?;
            while self.counts.begun.load(Ordering::Relaxed) < goal {
                self.counts.changed.notified().await;
            }
            waited.push(began.elapsed());
        }
        waited.sort_unstable();
        Ok(waited)
    }
}

fn queue_name() -> QueueName {
    "work".try_into().expect("a name")
}

fn batch(jobs: usize) -> Vec<Job> {
    let now = SystemClock::new().unix_micros();
    let tenant = Tenant::new("acme").expect("a name");
    let kind: agentscale_core::jobs::JobKind = "noop".try_into().expect("a name");
    let job = || Job::new(JobId::new(now), tenant.clone(), queue_name(), kind.clone(), r#"{"n":1}"#);
    (0..jobs).map(|_| job()).collect()
}

async fn work(queue: Arc<dyn JobQueue>, counts: Arc<Counts>) {
    let worker = WorkerId::new(SystemClock::new().unix_micros());
    let free = Arc::new(Semaphore::new(UNDER_WAY));
    let mut runs = JoinSet::new();
    loop {
        while runs.try_join_next().is_some() {}
        let permits = free.clone().acquire_many_owned(CLAIM).await.expect("it stays open");
        let request = ClaimJobs::new(worker, queue_name(), CLAIM as usize);
        let claimed = queue.claim(request).await.expect("jobs are claimed");
        let is_empty = claimed.is_empty();
        let mut permits = permits;
        for job in claimed {
            let permit = permits.split(1).expect("there are enough");
            let (queue, counts) = (queue.clone(), counts.clone());
            runs.spawn(async move {
                run(&*queue, &counts, job).await;
                drop(permit);
            });
        }
        drop(permits);
        if is_empty {
            queue.changed(&[queue_name()], Duration::from_secs(1)).await.expect("it is awaited");
        }
    }
}

async fn run(queue: &dyn JobQueue, counts: &Counts, job: ClaimedJob) {
    counts.begun.fetch_add(1, Ordering::Relaxed);
    counts.changed.notify_waiters();
    counts.changed.notify_one();
    let mut ended = queue.finish(vec![Finish::completed(job.run(), "")]).await.expect("it is finished");
    ended.remove(0).expect("it was under way");
    counts.finished.fetch_add(1, Ordering::Relaxed);
    counts.changed.notify_waiters();
    counts.changed.notify_one();
}
