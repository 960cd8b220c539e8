//! The queue of jobs on PostgreSQL.

mod conformance;
mod segments;
mod transactions;
mod trips;

use agentscale_core::JobQueue;
use agentscale_core::jobs::{ClaimJobs, ClaimedJob, Finish, Job, JobId, JobState, QueueName, WorkerId};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, Tenant};
use agentscale_store::{PostgresJobConfig, PostgresJobQueue};

use super::Scene;

pub(crate) async fn open(scene: &Scene) -> PostgresJobQueue {
    open_with(scene, PostgresJobConfig::default()).await
}

pub(crate) async fn open_with(scene: &Scene, mut config: PostgresJobConfig) -> PostgresJobQueue {
    config.database = scene.config().database;
    PostgresJobQueue::open_with(&scene.url, config).await.expect("the queue opens")
}

fn work() -> QueueName {
    "work".try_into().expect("a name")
}

fn job(payload: &str) -> Job {
    let id = JobId::new(SystemClock::new().unix_micros());
    Job::new(
        id,
        Tenant::new("acme").expect("a name"),
        work(),
        "test".try_into().expect("a name"),
        payload.to_owned(),
    )
}

async fn claim(queue: &PostgresJobQueue, limit: usize) -> Vec<ClaimedJob> {
    queue.claim(ClaimJobs::new(WorkerId::new(0), work(), limit)).await.expect("jobs are claimed")
}

async fn complete(queue: &PostgresJobQueue, claimed: &[ClaimedJob]) {
    let finishes = claimed.iter().map(|claimed| Finish::completed(claimed.run(), "")).collect();
    for answer in queue.finish(finishes).await.expect("they are finished") {
        assert_eq!(answer.expect("it was under way"), JobState::Completed);
    }
}
