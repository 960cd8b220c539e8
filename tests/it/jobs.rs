//! Workers of a queue of jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentscale::core::jobs::{
    ClaimJobs, DeadJobQuery, Idempotency, Job, JobId, JobOutcome, JobRetry, JobState, QueueName, WorkerId,
};
use agentscale::core::metrics::Metrics;
use agentscale::core::observe::ObservationBuffer;
use agentscale::core::time::ManualClock;
use agentscale::core::{Clock, Error, ErrorKind, JobQueue, Tenant};
use agentscale::runtime::{JobEnd, JobRun, JobWorker, JobWorkerBuilder, JobWorkerConfig};
use agentscale::store::{SqliteJobConfig, SqliteJobQueue};
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};

const PATIENCE: Duration = Duration::from_secs(30);

fn work() -> QueueName {
    "work".try_into().unwrap()
}

fn acme() -> Tenant {
    Tenant::new("acme").unwrap()
}

fn job(kind: &str) -> Job {
    let once = JobRetry { max_attempts: 1, ..JobRetry::default() };
    let id = JobId::new(agentscale::core::time::SystemClock::new().unix_micros());
    Job::new(id, acme(), work(), kind.try_into().unwrap(), "7").with_retry(once)
}

struct Scene {
    _folder: TempDir,
    clock: ManualClock,
    queue: Arc<SqliteJobQueue>,
}

impl Scene {
    async fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
        let path = folder.path().join("queue.db");
        let queue = SqliteJobQueue::open_with(path, SqliteJobConfig::default(), Arc::new(clock.clone()));
        Self { queue: Arc::new(queue.await.unwrap()), _folder: folder, clock }
    }

    fn worker(&self) -> JobWorkerBuilder {
        let config = JobWorkerConfig { ttl: Duration::from_secs(2), ..JobWorkerConfig::default() };
        JobWorker::builder(self.queue.clone()).queue(work()).config(config)
    }

    async fn add(&self, job: Job) -> JobId {
        self.queue.enqueue(vec![job]).await.unwrap()[0].id()
    }

    async fn until(&self, id: JobId, state: JobState) {
        while self.queue.read(&acme(), id).await.unwrap().state != state {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn until_gone(&self, id: JobId) {
        while self.queue.read(&acme(), id).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn cause(&self, id: JobId) -> String {
        self.until(id, JobState::Dead).await;
        let page = self.queue.dead_letters(DeadJobQuery::new(10)).await.unwrap();
        page.jobs.into_iter().find(|dead| dead.job.id == id).unwrap().cause.to_string()
    }
}

/// A handler that says when it begins and why it is to stop, and never ends by itself.
fn hangs() -> (impl Fn(JobRun) -> futures::future::BoxFuture<'static, agentscale::core::Result<JobEnd>>, Told)
{
    let (begun, begins) = mpsc::unbounded_channel();
    let (stopped, stops) = mpsc::unbounded_channel();
    let handler = move |run: JobRun| {
        begun.send(run.run()).unwrap();
        let stopped = stopped.clone();
        let hang: futures::future::BoxFuture<'static, _> = Box::pin(async move {
            stopped.send(run.stopped().await).unwrap();
            std::future::pending().await
        });
        hang
    };
    (handler, Told { begins, stops })
}

struct Told {
    begins: mpsc::UnboundedReceiver<agentscale::core::jobs::Run>,
    stops: mpsc::UnboundedReceiver<Error>,
}

#[tokio::test]
async fn jobs_are_done_by_the_handler_of_their_kind_and_results_are_kept() {
    let scene = Scene::new().await;
    let (metrics, observer) = (Metrics::new(), Arc::new(ObservationBuffer::new(1_000)));
    let worker = scene
        .worker()
        .handler("double".try_into().unwrap(), |run: JobRun| async move {
            JobEnd::json(&(run.payload::<u64>()? * 2))
        })
        .handler("plain".try_into().unwrap(), |_| async { Ok(JobEnd::done()) })
        .metrics(&metrics)
        .observer(observer.clone())
        .start()
        .unwrap();
    let key = Idempotency::new("order-7".try_into().unwrap());
    let doubled = scene.add(job("double").with_idempotency(key.clone())).await;
    let plain: Vec<_> = (0..200).map(|_| job("plain")).collect();
    scene.queue.enqueue(plain).await.unwrap();
    scene.until_gone(doubled).await;
    let recorded = scene.queue.outcome(&acme(), &key.key).await.unwrap().unwrap();
    assert_eq!(recorded.outcome, Some(JobOutcome::Completed("14".into())));
    while worker.claimed() > 0 || scene.queue.counts(&[work()]).await.unwrap()[0].ready > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let drained = worker.drain(PATIENCE).await;
    assert_eq!((drained.released, drained.cut_off), (0, 0));
    let text = metrics.snapshot().to_openmetrics();
    let line = "agentscale_job_runs_total{queue=\"work\",became=\"completed\"} 201\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("agentscale_jobs_running{queue=\"work\"} 0\n"), "{text}");
    let told = observer.drain(1_000).observations;
    assert_eq!(told.iter().filter(|told| told.name == "job.completed").count(), 201);
}

#[tokio::test]
async fn no_more_run_at_once_than_may() {
    let scene = Scene::new().await;
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (running.clone(), most.clone());
    let handler = move |_: JobRun| {
        let (running, most) = counted.clone();
        async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(1)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok(JobEnd::done())
        }
    };
    let config = JobWorkerConfig { concurrency: 3, buffer: 2, ..JobWorkerConfig::default() };
    let worker = scene.worker().config(config).handler("plain".try_into().unwrap(), handler).start().unwrap();
    scene.queue.enqueue((0..50).map(|_| job("plain")).collect()).await.unwrap();
    while scene.queue.counts(&[work()]).await.unwrap().iter().any(|counts| counts.ready + counts.running > 0)
    {
        // Those that run, those that wait, and one that stands between.
        assert!(worker.claimed() <= 6 + 2, "{}", worker.claimed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_fails_is_attempted_again_and_ends_in_the_dead_letters_with_its_cause() {
    let scene = Scene::new().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let _worker = scene
        .worker()
        .handler("fails".try_into().unwrap(), move |run: JobRun| {
            let calls = counted.clone();
            async move {
                calls.fetch_add(1, Ordering::SeqCst);
                assert_eq!(run.is_last_attempt(), run.attempt() == 3);
                Err(Error::new(ErrorKind::Unavailable, "call the bank"))
            }
        })
        .handler("panics".try_into().unwrap(), |_| async { panic!("no such bank") })
        .handler("gives up".try_into().unwrap(), |_| async { Ok(JobEnd::Dead("never".to_owned().into())) })
        .start()
        .unwrap();
    let thrice = JobRetry { max_attempts: 3, first_delay: Duration::ZERO, ..JobRetry::default() };
    let thrice = JobRetry { max_delay: Duration::ZERO, ..thrice };
    let failing = scene.add(job("fails").with_retry(thrice.clone())).await;
    assert_eq!(scene.cause(failing).await, "call the bank: unavailable");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    let panicking = scene.add(job("panics")).await;
    assert_eq!(scene.cause(panicking).await, "run job: internal (panicked: no such bank)");
    let unknown = scene.add(job("unknown")).await;
    let cause = scene.cause(unknown).await;
    assert!(cause.starts_with("run job: unsupported (job_kind: unknown"), "{cause}");
    let given_up = scene.add(job("gives up").with_retry(thrice)).await;
    assert_eq!(scene.cause(given_up).await, "never");
    assert_eq!(scene.queue.read(&acme(), given_up).await.unwrap().attempts, 1);
}

#[tokio::test]
async fn a_job_waits_as_long_as_its_retry_or_its_error_says() {
    let scene = Scene::new().await;
    let _worker = scene
        .worker()
        .handler("limited".try_into().unwrap(), |run: JobRun| async move {
            if run.attempt() > 1 {
                return Ok(JobEnd::done());
            }
            Err(Error::new(ErrorKind::RateLimited, "call").with_retry_after(Duration::from_secs(60)))
        })
        .handler("snoozes".try_into().unwrap(), |_| async { Ok(JobEnd::Snooze(Duration::from_secs(60))) })
        .start()
        .unwrap();
    let limited = scene.add(job("limited").with_retry(JobRetry::default())).await;
    let snoozing = scene.add(job("snoozes")).await;
    scene.until(limited, JobState::Waiting).await;
    scene.until(snoozing, JobState::Waiting).await;
    assert_eq!(scene.queue.read(&acme(), snoozing).await.unwrap().attempts, 0);
    scene.clock.advance(Duration::from_secs(59));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(scene.queue.read(&acme(), limited).await.unwrap().state, JobState::Waiting);
    scene.clock.advance(Duration::from_secs(1));
    scene.until_gone(limited).await;
}

#[tokio::test]
async fn a_run_over_its_time_is_told_and_is_a_failed_attempt() {
    let scene = Scene::new().await;
    let (handler, mut told) = hangs();
    let _worker = scene.worker().handler("hangs".try_into().unwrap(), handler).start().unwrap();
    let id = scene.add(job("hangs").with_timeout(Duration::from_millis(20))).await;
    assert_eq!(told.stops.recv().await.unwrap().kind(), ErrorKind::DeadlineExceeded);
    assert_eq!(scene.cause(id).await, "run job: deadline_exceeded (limit: 20ms)");
}

#[tokio::test]
async fn a_run_whose_claim_is_lost_is_told_that_it_is_fenced_and_stopped() {
    let scene = Scene::new().await;
    let (handler, mut told) = hangs();
    let metrics = Metrics::new();
    let worker =
        scene.worker().metrics(&metrics).handler("hangs".try_into().unwrap(), handler).start().unwrap();
    let id = scene.add(job("hangs").with_retry(JobRetry::default())).await;
    let run = told.begins.recv().await.unwrap();
    // Another one takes it over before a heartbeat.
    let taken = loop {
        scene.clock.advance(Duration::from_secs(2));
        let taken = scene.queue.claim(ClaimJobs::new(WorkerId::new(0), work(), 1)).await.unwrap();
        if let Some(taken) = taken.into_iter().next() {
            break taken;
        }
    };
    assert_eq!(taken.job.id, id);
    assert_ne!(taken.epoch, run.epoch);
    assert_eq!(told.stops.recv().await.unwrap().kind(), ErrorKind::Fenced);
    while worker.claimed() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let lost = "agentscale_job_runs_total{queue=\"work\",became=\"lost\"} 1\n";
    assert!(metrics.snapshot().to_openmetrics().contains(lost));
    assert_eq!(scene.queue.read(&acme(), id).await.unwrap().attempts, 2);
}

#[tokio::test]
async fn a_cancelled_run_is_told_and_does_not_come_back() {
    let scene = Scene::new().await;
    let (handler, mut told) = hangs();
    let _worker = scene.worker().handler("hangs".try_into().unwrap(), handler).start().unwrap();
    let id = scene.add(job("hangs").with_retry(JobRetry::default())).await;
    told.begins.recv().await.unwrap();
    assert_eq!(scene.queue.cancel(&acme(), id).await.unwrap(), JobState::Running);
    assert_eq!(told.stops.recv().await.unwrap().kind(), ErrorKind::Cancelled);
    scene.until_gone(id).await;
}

#[tokio::test]
async fn a_drain_gives_back_what_was_not_begun_and_lets_what_runs_end() {
    let scene = Scene::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let (opened, (begun, mut begins)) = (gate.clone(), mpsc::unbounded_channel());
    let handler = move |_: JobRun| {
        let (gate, begun) = (opened.clone(), begun.clone());
        async move {
            begun.send(()).unwrap();
            gate.acquire().await.unwrap().forget();
            Ok(JobEnd::done())
        }
    };
    let config = JobWorkerConfig { concurrency: 1, buffer: 4, ..JobWorkerConfig::default() };
    let worker = scene.worker().config(config).handler("waits".try_into().unwrap(), handler).start().unwrap();
    scene.queue.enqueue((0..8).map(|_| job("waits")).collect()).await.unwrap();
    begins.recv().await.unwrap();
    let draining = worker.clone();
    let draining = tokio::spawn(async move { draining.drain(PATIENCE).await });
    while worker.claimed() > 1 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    gate.add_permits(8);
    let drained = draining.await.unwrap();
    assert!(drained.released > 0);
    let counts = scene.queue.counts(&[work()]).await.unwrap();
    assert_eq!((counts[0].ready, counts[0].running, drained.cut_off), (7, 0, 0));
    let again = scene.queue.claim(ClaimJobs::new(WorkerId::new(0), work(), 7)).await.unwrap();
    assert!(again.iter().all(|claimed| claimed.attempt == 1));
}

#[tokio::test]
async fn a_drain_stops_what_does_not_end_and_its_job_is_ready_again() {
    let scene = Scene::new().await;
    let (handler, mut told) = hangs();
    let worker = scene.worker().handler("hangs".try_into().unwrap(), handler).start().unwrap();
    let id = scene.add(job("hangs")).await;
    told.begins.recv().await.unwrap();
    assert_eq!(worker.drain(Duration::from_millis(10)).await.cut_off, 1);
    assert_eq!(told.stops.recv().await.unwrap().kind(), ErrorKind::Cancelled);
    let info = scene.queue.read(&acme(), id).await.unwrap();
    assert_eq!((info.state, info.attempts), (JobState::Ready, 0));
}

#[tokio::test]
async fn a_worker_without_a_queue_or_with_bad_options_does_not_start() {
    let scene = Scene::new().await;
    let refused = JobWorker::builder(scene.queue.clone()).start().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    for config in [
        JobWorkerConfig { concurrency: 0, ..JobWorkerConfig::default() },
        JobWorkerConfig { ttl: Duration::from_secs(1), ..JobWorkerConfig::default() },
        JobWorkerConfig { run_timeout: Duration::ZERO, ..JobWorkerConfig::default() },
    ] {
        assert_eq!(scene.worker().config(config).start().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

mod agents {
    //! Jobs that are questions to agents.

    use agentscale::core::Address;
    use agentscale::prelude::*;
    use agentscale::runtime::{AgentJob, AgentJobs};

    use super::*;

    struct Counter;

    #[async_trait]
    impl Agent for Counter {
        type State = u64;

        async fn handle(&self, turn: &mut Turn<'_, u64>, message: &AgentMessage) -> Result<Outcome> {
            *turn.state_mut() += *message.body::<u64>()?;
            Ok(turn.reply(*turn.state()))
        }
    }

    #[tokio::test]
    async fn a_job_asks_an_agent_once_and_keeps_its_answer() {
        let scene = Scene::new().await;
        let runtime = Runtime::builder()
            .stores(Stores::in_memory())
            .pool("counter", Counter, Pool::stateful())
            .start()
            .await
            .unwrap();
        let worker = |runtime: &Runtime| {
            scene
                .worker()
                .handler("ask".try_into().unwrap(), AgentJobs::new(runtime.clone()))
                .start()
                .unwrap()
        };
        let first = worker(&runtime);
        let to = Address::new("counter", "visits").unwrap();
        let mut asked = job("ask").with_idempotency(Idempotency::new("k".try_into().unwrap()));
        asked.payload = AgentJob::new(to, &5).unwrap().payload().unwrap();
        let id = scene.add(asked.clone()).await;
        scene.until_gone(id).await;
        let outcome = scene.queue.outcome(&acme(), &"k".try_into().unwrap()).await.unwrap().unwrap();
        assert_eq!(outcome.outcome, Some(JobOutcome::Completed("5".into())));
        // The same job runs again, as after a crash behind the answer: the agent has answered already.
        asked.idempotency = None;
        scene.add(asked).await;
        scene.until_gone(id).await;
        let agent = runtime.agent(&acme(), "counter", "visits").unwrap();
        assert_eq!(agent.ask::<_, u64>(0_u64).await.unwrap(), 5);
        // One that is no question is a failed attempt.
        let bad = scene.add(job("ask")).await;
        assert!(scene.cause(bad).await.starts_with("decode payload of job: invalid_input"));
        first.drain(PATIENCE).await;
    }
}
