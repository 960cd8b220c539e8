//! What was enqueued, and what workers have said.

use std::collections::HashMap;
use std::time::Duration;

use agentscale_core::jobs::{DeadJobQuery, Idempotency, Job, JobId, JobOutcome, JobRetry, MAX_ATTEMPTS};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, IdempotencyKey, JobQueue, Tenant};

use super::place::Place;
use super::process::Worker;
use super::worker::{POISON, queue_name};

/// How long no job is finished at most while there is a worker.
const STUCK: Duration = Duration::from_secs(120);

/// Jobs, each of which keeps its outcome, and the epochs that were told to have finished it.
#[derive(Default)]
pub(super) struct Ledger {
    finished: HashMap<JobId, Vec<String>>,
    pub(super) refused: u64,
    poison: Vec<JobId>,
}

impl Ledger {
    /// Jobs that are to be added.
    pub(super) fn jobs(&mut self, number: usize) -> Vec<Job> {
        let retry = JobRetry { max_attempts: MAX_ATTEMPTS, ..JobRetry::default() };
        let jobs: Vec<Job> = (0..number).map(|_| job("x").with_retry(retry.clone())).collect();
        self.finished.extend(jobs.iter().map(|job| (job.id, Vec::new())));
        jobs
    }

    pub(super) async fn add(&mut self, queue: &dyn JobQueue, jobs: usize) {
        for jobs in self.jobs(jobs).chunks(200) {
            queue.enqueue(jobs.to_vec()).await.expect("they are added");
        }
    }

    /// Adds a job that kills whoever runs it.
    pub(super) async fn poison(&mut self, queue: &dyn JobQueue, attempts: u32) {
        let poison = job(POISON).with_retry(JobRetry { max_attempts: attempts, ..JobRetry::default() });
        self.poison.push(poison.id);
        queue.enqueue(vec![poison]).await.expect("it is added");
    }

    /// What a line of a worker says; the last one of a killed process may be cut off.
    pub(super) fn hear(&mut self, line: &str) -> bool {
        // The words of the test runner may stand before it.
        let said = ["began ", "finished ", "refused "].iter().find_map(|word| {
            let (_, rest) = line.split_once(word)?;
            let (id, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            Some((*word, JobId(id.parse().ok()?), rest))
        });
        let Some((word, id, rest)) = said else { return false };
        match word {
            "began " => {}
            "finished " if !rest.is_empty() => {
                self.finished.get_mut(&id).expect("it was enqueued").push(rest.to_owned());
            }
            _ => self.refused += 1,
        }
        true
    }

    /// Lets workers run, one after the other, until no job is left.
    pub(super) async fn drain(&mut self, place: &Place, queue: &dyn JobQueue) {
        let drained = async {
            let mut worker = Worker::start(place);
            while !is_empty(queue).await {
                worker.hear(self);
                if worker.has_ended() {
                    worker.kill(self);
                    worker = Worker::start(place);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            worker.kill(self);
        };
        tokio::time::timeout(STUCK, drained).await.expect("no job is stuck");
    }

    /// Each job has one outcome, which is what the one worker was told that heard of its finish.
    pub(super) async fn check(&self, queue: &dyn JobQueue) {
        for (id, finished) in &self.finished {
            let outcome = queue.outcome(&acme(), &key(*id)).await.expect("it is read");
            let outcome = outcome.expect("its key is known").outcome;
            let Some(JobOutcome::Completed(result)) = outcome else { panic!("{id} is lost: {outcome:?}") };
            assert!(finished.len() <= 1, "{id} was finished by {finished:?}");
            assert!(
                finished.iter().all(|epoch| epoch.as_bytes() == result),
                "{id}: {finished:?}, {result:?}"
            );
        }
        let page = queue.dead_letters(DeadJobQuery::new(100)).await.expect("they are listed");
        let dead: Vec<JobId> = page.jobs.iter().map(|dead| dead.job.id).collect();
        assert_eq!(dead.len(), self.poison.len());
        for dead in &page.jobs {
            assert!(self.poison.contains(&dead.job.id), "{}", dead.job.id);
            assert_eq!(dead.attempts, dead.job.retry.max_attempts);
            let cause = dead.cause.as_str();
            assert!(cause.starts_with("lost: worker ") && cause.ends_with(" did not report"), "{cause}");
        }
    }
}

/// Dead letters are no work.
pub(super) async fn is_empty(queue: &dyn JobQueue) -> bool {
    let counts = queue.counts(&[queue_name()]).await.expect("jobs are counted").remove(0);
    counts.waiting + counts.ready + counts.running == 0
}

fn acme() -> Tenant {
    Tenant::new("acme").expect("a name")
}

fn key(id: JobId) -> IdempotencyKey {
    id.to_string().as_str().try_into().expect("a name")
}

fn job(payload: &'static str) -> Job {
    let id = JobId::new(SystemClock::new().unix_micros());
    let job = Job::new(id, acme(), queue_name(), "test".try_into().expect("a name"), payload);
    job.with_idempotency(Idempotency::new(key(id)))
}
