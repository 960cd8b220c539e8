//! The server restarts while workers of this process are at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentscale_core::jobs::{ClaimJobs, Finish, Job, WorkerId};
use agentscale_core::{Error, ErrorKind, JobQueue, Result, Retry};
use agentscale_store::{PostgresJobConfig, PostgresJobQueue};
use tokio::task::JoinSet;

use super::ledger::{Ledger, is_empty};
use super::worker::{TTL, queue_name};
use crate::torture::rounds;
use crate::torture::server::OwnServer;

const WORKERS: u64 = 3;

/// Workers that go on whatever the server does.
struct Crew {
    stop: Arc<AtomicBool>,
    workers: JoinSet<Vec<String>>,
}

impl Crew {
    fn start(queue: &PostgresJobQueue) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut workers = JoinSet::new();
        for number in 0..WORKERS {
            workers.spawn(work(queue.clone(), WorkerId::new(number), stop.clone()));
        }
        Self { stop, workers }
    }

    async fn stop(self, ledger: &mut Ledger) {
        self.stop.store(true, Ordering::Relaxed);
        for said in self.workers.join_all().await.into_iter().flatten() {
            ledger.hear(&said);
        }
    }
}

async fn work(queue: PostgresJobQueue, worker: WorkerId, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut said = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let request = ClaimJobs::new(worker, queue_name(), 8).with_ttl(TTL);
        let Some(claimed) = later(queue.claim(request).await).await else { continue };
        if claimed.is_empty() {
            later(queue.changed(&[queue_name()], Duration::from_millis(100)).await).await;
        }
        for claimed in claimed {
            let finish = Finish::completed(claimed.run(), claimed.epoch.counter.to_string());
            let mut answer = later(queue.finish(vec![finish.clone()]).await).await;
            while answer.is_none() && !stop.load(Ordering::Relaxed) {
                answer = later(queue.finish(vec![finish.clone()]).await).await;
            }
            match answer.map(|mut answers| answers.remove(0)) {
                Some(Ok(_)) => said.push(format!("finished {} {}", claimed.job.id, claimed.epoch.counter)),
                Some(Err(error)) => assert_eq!(error.kind(), ErrorKind::Fenced, "{error:?}"),
                None => {}
            }
        }
    }
    said
}

/// Only what may be tried again may happen.
async fn later<T>(answer: Result<T>) -> Option<T> {
    let error: Error = match answer {
        Ok(answer) => return Some(answer),
        Err(error) => error,
    };
    assert_eq!(error.retry(), Retry::Later, "{error:?}");
    tokio::time::sleep(Duration::from_millis(5)).await;
    None
}

/// Adds jobs, each again and again until it is there.
async fn add(queue: &PostgresJobQueue, jobs: Vec<Job>) {
    while later(queue.enqueue(jobs.clone()).await).await.is_none() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_server_has_lost_no_job_and_finished_none_twice() {
    let Some(server) = tokio::task::block_in_place(OwnServer::start) else { return };
    let mut config = PostgresJobConfig::default();
    config.database.unreachable_after = Duration::from_millis(500);
    config.segment_jobs = 200;
    let queue = PostgresJobQueue::open_with(&server.url(), config).await.unwrap();
    let mut ledger = Ledger::default();
    let crew = Crew::start(&queue);
    for mode in ["fast", "immediate"].into_iter().cycle().take(rounds(2, 20)) {
        let jobs = ledger.jobs(300);
        let adding = tokio::spawn({
            let queue = queue.clone();
            async move {
                for jobs in jobs.chunks(10) {
                    add(&queue, jobs.to_vec()).await;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        tokio::task::block_in_place(|| {
            server.stop(mode);
            server.begin();
        });
        adding.await.unwrap();
    }
    let emptied = async {
        while !is_empty(&queue).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), emptied).await.expect("no job is stuck");
    crew.stop(&mut ledger).await;
    ledger.check(&queue).await;
    queue.close().await.unwrap();
}
