use std::time::Duration;

use bytes::Bytes;

use crate::jobs::{
    ClaimJobs, ClaimedJob, Enqueued, Finish, Heartbeat, HeartbeatAnswer, Job, JobId, JobState, MIN_TTL,
    QueueCounts, QueueName, Run, WorkerId,
};
use crate::time::SystemClock;
use crate::{Clock, Error, ErrorKind, JobQueue, Result, Tenant};

/// Longer than any test.
pub(super) const LONG: Duration = Duration::from_secs(3_600);
/// Waited for, as the time of a claim.
pub(super) const TTL: Duration = MIN_TTL;
/// Waited for.
pub(super) const SHORT: Duration = Duration::from_millis(200);

pub(super) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("a name")
}

pub(super) fn acme() -> Tenant {
    tenant("acme")
}

pub(super) fn queue(name: &str) -> QueueName {
    QueueName::new(name).expect("a name")
}

pub(super) fn id() -> JobId {
    JobId::new(SystemClock::new().unix_micros())
}

pub(super) fn worker() -> WorkerId {
    WorkerId::new(0)
}

/// A job of acme's in the queue `work`.
pub(super) fn job(payload: impl Into<Bytes>) -> Job {
    job_in("work", payload)
}

pub(super) fn job_in(name: &str, payload: impl Into<Bytes>) -> Job {
    Job::new(id(), acme(), queue(name), "test".try_into().expect("a name"), payload)
}

/// Adds one job, which is new.
pub(super) async fn add(store: &dyn JobQueue, job: Job) -> JobId {
    let id = job.id;
    assert_eq!(enqueue(store, job).await.expect("it is added"), Enqueued::Added(id));
    id
}

pub(super) async fn enqueue(store: &dyn JobQueue, job: Job) -> Result<Enqueued> {
    let answers = store.enqueue(vec![job]).await?;
    assert_eq!(answers.len(), 1);
    Ok(answers.into_iter().next().expect("there is one"))
}

/// What can be claimed of the queue `work` now, for long.
pub(super) async fn claim(store: &dyn JobQueue, limit: usize) -> Vec<ClaimedJob> {
    claim_for(store, limit, LONG).await
}

pub(super) async fn claim_for(store: &dyn JobQueue, limit: usize, ttl: Duration) -> Vec<ClaimedJob> {
    let request = ClaimJobs::new(worker(), queue("work"), limit).with_ttl(ttl);
    let claimed = store.claim(request).await.expect("jobs are claimed");
    assert!(claimed.len() <= limit);
    claimed
}

/// The one job that there is.
pub(super) async fn claim_one(store: &dyn JobQueue) -> ClaimedJob {
    one(claim(store, 10).await)
}

/// A job of the queue `work`, once there is one.
pub(super) async fn claim_soon(store: &dyn JobQueue) -> ClaimedJob {
    loop {
        store.changed(&[queue("work")], LONG).await.expect("it is awaited");
        let claimed = claim(store, 10).await;
        if !claimed.is_empty() {
            return one(claimed);
        }
    }
}

pub(super) fn one(claimed: Vec<ClaimedJob>) -> ClaimedJob {
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed.into_iter().next().expect("there is one")
}

pub(super) async fn finish(store: &dyn JobQueue, finish: Finish) -> Result<JobState> {
    let answers = store.finish(vec![finish]).await?;
    assert_eq!(answers.len(), 1);
    answers.into_iter().next().expect("there is one")
}

/// Completes a run that is under way.
pub(super) async fn complete(store: &dyn JobQueue, claimed: &ClaimedJob) {
    let state = finish(store, Finish::completed(claimed.run(), "")).await;
    assert_eq!(state.expect("it is completed"), JobState::Completed);
}

pub(super) async fn heartbeat(store: &dyn JobQueue, runs: Vec<Run>, ttl: Duration) -> HeartbeatAnswer {
    store.heartbeat(Heartbeat::new(worker(), runs).with_ttl(ttl)).await.expect("it is heard")
}

pub(super) async fn counts(store: &dyn JobQueue) -> QueueCounts {
    let counts = store.counts(&[queue("work")]).await.expect("jobs are counted");
    assert_eq!(counts.len(), 1);
    counts.into_iter().next().expect("there is one")
}

pub(super) async fn state(store: &dyn JobQueue, id: JobId) -> JobState {
    store.read(&acme(), id).await.expect("the job is there").state
}

/// The queue does not hold it any more.
pub(super) async fn assert_gone(store: &dyn JobQueue, id: JobId) {
    assert_kind(store.read(&acme(), id).await, ErrorKind::NotFound);
}

pub(super) fn assert_kind<T: std::fmt::Debug>(answer: Result<T>, kind: ErrorKind) -> Error {
    let error = answer.expect_err("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    error
}

pub(super) fn key_like(name: &str) -> crate::IdempotencyKey {
    name.try_into().expect("a name")
}
