//! Jobs in a file: its end and its return, the caller's transaction, a clock that steps.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::jobs::{ClaimJobs, ClaimedJob, Finish, Job, JobId, JobState, WorkerId};
use agentscale_core::{ErrorKind, JobQueue, Tenant};
use agentscale_store::{InMemoryCheckpointStore, SqliteJobConfig, SqliteJobQueue, Stores};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, SqliteConnection};

use crate::leases::scene::Stepped;

const LONG: Duration = Duration::from_secs(1_800);

fn acme() -> Tenant {
    Tenant::new("acme").expect("a name")
}

fn job(payload: &'static str) -> Job {
    let id = JobId::new(1_795_000_000_000_000);
    Job::new(id, acme(), "work".try_into().expect("a name"), "test".try_into().expect("a name"), payload)
}

async fn claim(queue: &SqliteJobQueue, ttl: Duration) -> Vec<ClaimedJob> {
    let request = ClaimJobs::new(WorkerId::new(0), "work".try_into().expect("a name"), 10).with_ttl(ttl);
    queue.claim(request).await.expect("jobs are claimed")
}

async fn open(path: &Path, clock: &Stepped) -> SqliteJobQueue {
    let config = SqliteJobConfig::default();
    SqliteJobQueue::open_with(path, config, Arc::new(clock.clone())).await.expect("the queue opens")
}

async fn connect(queue: &SqliteJobQueue) -> SqliteConnection {
    SqliteConnectOptions::new().filename(queue.path()).connect().await.expect("the file opens")
}

#[tokio::test]
async fn a_queue_outlives_the_store_and_its_epochs_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let queue = SqliteJobQueue::open(&path).await.unwrap();
    queue.enqueue(vec![job("x")]).await.unwrap();
    let first = claim(&queue, LONG).await.remove(0);
    queue.finish(vec![Finish::release(first.run())]).await.unwrap()[0].as_ref().unwrap();
    queue.close().await.unwrap();
    assert_eq!(queue.enqueue(vec![job("y")]).await.unwrap_err().kind(), ErrorKind::Unavailable);

    let queue = SqliteJobQueue::open(&path).await.unwrap();
    let second = claim(&queue, LONG).await.remove(0);
    assert_eq!(second.job, first.job);
    assert!(second.epoch > first.epoch);
}

#[tokio::test]
async fn a_job_of_the_callers_transaction_is_there_when_it_commits() {
    let folder = tempfile::tempdir().unwrap();
    let queue = SqliteJobQueue::open(folder.path().join("queue.db")).await.unwrap();
    let mut own = connect(&queue).await;
    own.execute("CREATE TABLE orders (name TEXT)").await.unwrap();
    for (end, expected) in [("ROLLBACK", 0), ("COMMIT", 1)] {
        own.execute("BEGIN IMMEDIATE").await.unwrap();
        own.execute("INSERT INTO orders VALUES ('a')").await.unwrap();
        let added = queue.enqueue_in(&mut own, &[job("x")]).await.unwrap();
        assert!(added[0].is_added());
        assert!(claim_of_others(&queue).await.is_empty());
        own.execute(end).await.unwrap();
        let orders: u32 =
            sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(&mut own).await.unwrap();
        assert_eq!((orders, claim(&queue, LONG).await.len()), (expected, expected as usize));
    }
    // What is found by a store that waits, though nobody tells it.
    let waiting = queue.clone();
    let waiting =
        tokio::spawn(async move { waiting.changed(&["work".try_into().unwrap()], LONG).await.unwrap() });
    own.execute("BEGIN IMMEDIATE").await.unwrap();
    queue.enqueue_in(&mut own, &[job("y")]).await.unwrap();
    own.execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap(), ["work".try_into().unwrap()]);
    own.close().await.unwrap();
}

/// What is committed, as a reader sees it: a claim would wait for the transaction that is under way.
async fn claim_of_others(queue: &SqliteJobQueue) -> Vec<u64> {
    let counts = queue.counts(&["work".try_into().expect("a name")]).await.expect("jobs are counted");
    counts.iter().map(|counts| counts.ready).filter(|ready| *ready > 0).collect()
}

#[tokio::test]
async fn a_refused_job_leaves_the_callers_transaction_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let queue = SqliteJobQueue::open(folder.path().join("queue.db")).await.unwrap();
    let there = job("x");
    queue.enqueue(vec![there.clone()]).await.unwrap();
    let mut own = connect(&queue).await;
    own.execute("BEGIN IMMEDIATE").await.unwrap();
    queue.enqueue_in(&mut own, &[job("before")]).await.unwrap();
    let mut other = there;
    other.payload = "y".into();
    let refused = queue.enqueue_in(&mut own, &[job("beside"), other]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    own.execute("COMMIT").await.unwrap();
    let payloads: Vec<_> = claim(&queue, LONG).await.into_iter().map(|claimed| claimed.job.payload).collect();
    assert_eq!(payloads, ["x", "before"]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_no_job_for_longer_than_the_time_of_its_claim() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("queue.db"), Stepped::default());
    let queue = open(&path, &clock).await;
    queue.enqueue(vec![job("x")]).await.unwrap();
    let ttl = Duration::from_secs(15);
    let first = claim(&queue, ttl).await.remove(0);
    clock.step(-3_600);
    assert!(claim(&queue, ttl).await.is_empty());
    clock.step(15);
    let second = claim(&queue, ttl).await.remove(0);
    assert_eq!(second.attempt, 2);

    // So it is where it was set back while nobody looked.
    queue.close().await.unwrap();
    clock.step(-3_600);
    let queue = open(&path, &clock).await;
    clock.step(15);
    let third = claim(&queue, ttl).await.remove(0);
    assert!(third.epoch > second.epoch && second.epoch > first.epoch);
    let late = queue.finish(vec![Finish::completed(second.run(), "")]).await.unwrap().remove(0);
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Fenced);
}

#[tokio::test]
async fn what_is_refused_is_refused_alone_in_a_batch_of_many() {
    let folder = tempfile::tempdir().unwrap();
    let queue = SqliteJobQueue::open(folder.path().join("queue.db")).await.unwrap();
    let there = job("x");
    queue.enqueue(vec![there.clone()]).await.unwrap();
    // Of two with the same new job the first is refused.
    let new: Vec<_> = (0..32).map(|_| job("new")).collect();
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let queue = queue.clone();
            let mut list = vec![new[number / 2].clone(), there.clone()];
            list[1].payload = if number % 2 == 0 { "y".into() } else { "x".into() };
            tokio::spawn(async move { queue.enqueue(list).await })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        match task.await.unwrap() {
            Ok(enqueued) => {
                assert_eq!((number % 2, enqueued[0].is_added(), enqueued[1].is_added()), (1, true, false));
            }
            Err(error) => assert_eq!((number % 2, error.kind()), (0, ErrorKind::Conflict)),
        }
    }
    let counts = queue.counts(&["work".try_into().unwrap()]).await.unwrap();
    assert_eq!(counts[0].ready, 33);
    let info = queue.read(&acme(), there.id).await.unwrap();
    assert_eq!((info.state, info.job), (JobState::Ready, there));
}

#[tokio::test]
async fn a_bundle_in_a_folder_keeps_jobs_in_a_file_of_its_own_which_closes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::sqlite(folder.path()).await.unwrap();
    assert!(!folder.path().join("queue.db").exists());
    let queue = stores.clone().jobs().await.unwrap();
    queue.enqueue(vec![job("x")]).await.unwrap();
    assert_eq!(stores.jobs().await.unwrap().counts(&["work".try_into().unwrap()]).await.unwrap()[0].ready, 1);
    stores.close().await.unwrap();
    assert_eq!(queue.enqueue(vec![job("y")]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let file = SqliteJobQueue::open(folder.path().join("queue.db")).await.unwrap();
    assert_eq!(claim(&file, LONG).await.len(), 1);

    let own = Stores::with_checkpoints(Arc::new(InMemoryCheckpointStore::new()));
    assert_eq!(own.jobs().await.unwrap_err().kind(), ErrorKind::Unsupported);
}
