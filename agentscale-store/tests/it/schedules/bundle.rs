//! The schedules of a bundle of stores.

use std::sync::Arc;

use agentscale_core::jobs::{ClaimJobs, WorkerId};
use agentscale_core::schedule::{HistoryQuery, JobTemplate, PutSchedule, Schedule, ScheduleKey, Timing};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, ErrorKind, Tenant};
use agentscale_store::{InMemoryCheckpointStore, Stores};

/// What one schedule of the bundle enqueues is claimed from its jobs.
async fn fire(stores: &Stores) {
    // The bundle's schema may be a fixed one: the names are others at each run.
    let name = uuid::Uuid::now_v7().simple().to_string();
    let key = ScheduleKey::new(&Tenant::new("acme").expect("a name"), &name).expect("a name");
    let queue = agentscale_core::jobs::QueueName::new(name).expect("a name");
    let job = JobTemplate::new(queue.clone(), "digest".try_into().expect("a name"), "{}");
    let timing = Timing::Once { at_unix_micros: SystemClock::new().unix_micros() };
    let schedules = stores.schedules().await.expect("it is done");
    schedules.put(PutSchedule::new(Schedule::new(key.clone(), timing, job))).await.expect("it is done");
    let again = stores.clone().schedules().await.expect("it is done");
    while schedules.history(HistoryQuery::new(key.clone(), 1)).await.expect("it is done").is_empty() {
        again.tick(100).await.expect("it is done");
    }
    let jobs = stores.jobs().await.expect("it is done");
    let claimed = jobs.claim(ClaimJobs::new(WorkerId::new(0), queue, 10)).await.expect("it is done");
    assert_eq!(claimed.len(), 1);
}

#[tokio::test]
async fn a_bundle_in_a_folder_keeps_schedules_in_the_file_of_its_queue() {
    let folder = tempfile::tempdir().unwrap();
    let stores = Stores::sqlite(folder.path()).await.unwrap();
    assert!(!folder.path().join("queue.db").exists());
    fire(&stores).await;
    let schedules = stores.schedules().await.unwrap();
    stores.close().await.unwrap();
    assert_eq!(schedules.tick(1).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_bundle_without_jobs_has_no_schedules() {
    let own = Stores::with_checkpoints(Arc::new(InMemoryCheckpointStore::new()));
    assert_eq!(own.schedules().await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
#[cfg(feature = "postgres")]
async fn a_bundle_on_postgres_keeps_schedules_there() {
    let Some(url) = agentscale_core::testkit::TestServer::Postgres.url() else { return };
    let stores = Stores::postgres(&url).await.unwrap();
    fire(&stores).await;
    stores.close().await.unwrap();
}
