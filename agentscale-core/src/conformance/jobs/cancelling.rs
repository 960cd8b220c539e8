//! Jobs that nobody wants any more.

use std::time::Duration;

use super::JobQueueHarness;
use super::scene::{
    LONG, TTL, acme, add, assert_gone, assert_kind, claim, claim_for, claim_one, finish, heartbeat, job, one,
    state,
};
use crate::ErrorKind;
use crate::jobs::{Cause, Finish, JobState};

/// A job that nobody runs is cancelled at once.
pub async fn a_job_that_waits_is_cancelled_at_once(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    for job in [job("ready"), job("waiting").with_delay(LONG)] {
        let id = add(&store, job).await;
        assert_eq!(store.cancel(&acme(), id).await.expect("it is cancelled"), JobState::Cancelled);
        assert_gone(&store, id).await;
        assert_kind(store.cancel(&acme(), id).await, ErrorKind::NotFound);
    }
    assert!(claim(&store, 10).await.is_empty());
}

/// The worker of a job that runs is told, and ends it.
pub async fn a_running_job_is_cancelled_by_its_worker(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let id = add(&store, job("x")).await;
    let run = claim_one(&store).await.run();
    assert_eq!(store.cancel(&acme(), id).await.expect("it is marked"), JobState::Running);
    for _ in 0..2 {
        let answer = heartbeat(&store, vec![run], LONG).await;
        assert_eq!((answer.lost, answer.cancelled), (vec![], vec![run]));
    }
    assert_eq!(finish(&store, Finish::cancelled(run)).await.expect("it is cancelled"), JobState::Cancelled);
    assert_gone(&store, id).await;
}

/// A job that was to be cancelled does not run again, however its run ends.
pub async fn a_job_that_was_to_be_cancelled_does_not_run_again(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    for end in [
        |run| Finish::retry(run, Cause::new("no"), Duration::ZERO),
        |run| Finish::snooze(run, LONG),
        Finish::release,
    ] {
        let id = add(&store, job("x")).await;
        let run = claim_one(&store).await.run();
        store.cancel(&acme(), id).await.expect("it is marked");
        assert_eq!(finish(&store, end(run)).await.expect("it is cancelled"), JobState::Cancelled);
        assert_gone(&store, id).await;
    }
    let id = add(&store, job("lost")).await;
    one(claim_for(&store, 1, TTL).await);
    store.cancel(&acme(), id).await.expect("it is marked");
    harness.pass(TTL).await;
    while store.read(&acme(), id).await.is_ok() {
        assert!(claim(&store, 10).await.is_empty());
    }
}

/// What was done before its worker heard of it is done.
pub async fn a_run_that_completes_was_not_cancelled(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let id = add(&store, job("x")).await;
    let run = claim_one(&store).await.run();
    store.cancel(&acme(), id).await.expect("it is marked");
    assert_eq!(finish(&store, Finish::completed(run, "")).await.expect("it is done"), JobState::Completed);
    assert_gone(&store, id).await;
}

/// A dead letter stays one.
pub async fn a_dead_job_stays_dead(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let id = add(&store, job("x")).await;
    finish(&store, Finish::dead(claim_one(&store).await.run(), Cause::new("no"))).await.expect("it is dead");
    assert_eq!(store.cancel(&acme(), id).await.expect("it is there"), JobState::Dead);
    assert_eq!(state(&store, id).await, JobState::Dead);
}
