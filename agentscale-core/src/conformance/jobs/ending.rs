//! How a run ends, and what becomes of its job.

use std::sync::Arc;
use std::time::Duration;

use super::JobQueueHarness;
use super::scene::{
    LONG, SHORT, acme, add, assert_gone, assert_kind, claim, claim_one, claim_soon, complete, counts, finish,
    job, state,
};
use crate::ErrorKind;
use crate::jobs::{Cause, Finish, JobRetry, JobState};

/// A completed job is gone.
pub async fn a_completed_job_is_gone(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let id = add(&store, job("x")).await;
    complete(&store, &claim_one(&store).await).await;
    assert_gone(&store, id).await;
    assert!(claim(&store, 10).await.is_empty());
    let counts = counts(&store).await;
    assert_eq!((counts.waiting, counts.ready, counts.running, counts.dead), (0, 0, 0, 0));
}

/// Of several finishes each is judged for itself.
pub async fn each_finish_is_judged_alone(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    for payload in ["a", "b", "c", "d"] {
        add(&store, job(payload)).await;
    }
    let claimed = claim(&store, 4).await;
    complete(&store, &claimed[1]).await;
    let limit = store.capabilities().limits.payload_bytes;
    let answers = store
        .finish(vec![
            Finish::completed(claimed[0].run(), "done"),
            Finish::completed(claimed[1].run(), "late"),
            Finish::completed(claimed[2].run(), vec![0; limit + 1]),
            Finish::retry(claimed[3].run(), Cause::new("no"), LONG),
        ])
        .await
        .expect("they are judged");
    let kinds: Vec<_> = answers.into_iter().map(|answer| answer.map_err(|error| error.kind())).collect();
    assert_eq!(kinds[..2], [Ok(JobState::Completed), Err(ErrorKind::Fenced)]);
    assert_eq!(kinds[2..], [Err(ErrorKind::TooLarge), Ok(JobState::Waiting)]);
    complete(&store, &claimed[2]).await;
    assert!(store.finish(vec![]).await.expect("none").is_empty());
}

/// A run ends once, whatever is said about it later.
pub async fn a_run_ends_once(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let id = add(&store, job("x")).await;
    let claimed = claim_one(&store).await;
    finish(&store, Finish::snooze(claimed.run(), LONG)).await.expect("it waits");
    for late in [
        Finish::completed(claimed.run(), ""),
        Finish::release(claimed.run()),
        Finish::dead(claimed.run(), Cause::new("late")),
    ] {
        assert_kind(finish(&store, late).await, ErrorKind::Fenced);
    }
    assert_eq!(state(&store, id).await, JobState::Waiting);
}

/// Of many that finish one run at once, one does it.
pub async fn of_concurrent_finishes_of_a_run_one_counts(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let other = harness.another().await;
    add(&store, job("x")).await;
    let run = claim_one(&store).await.run();
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let store = Arc::clone(if number % 2 == 0 { &store } else { &other });
            tokio::spawn(async move { finish(&store, Finish::completed(run, "")).await })
        })
        .collect();
    let mut ended = 0;
    for task in tasks {
        match task.await.expect("it is answered") {
            Ok(state) => {
                assert_eq!(state, JobState::Completed);
                ended += 1;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Fenced, "{error}"),
        }
    }
    assert_eq!(ended, 1);
}

/// A failed attempt is followed by another one after the wait that the worker says.
pub async fn a_failed_attempt_is_repeated_after_its_wait(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let id = add(&store, job("x")).await;
    let first = claim_one(&store).await;
    let failed = Finish::retry(first.run(), Cause::new("no answer"), SHORT);
    assert_eq!(finish(&store, failed).await.expect("it waits"), JobState::Waiting);
    let info = store.read(&acme(), id).await.expect("it waits");
    assert_eq!((info.attempts, info.cause), (1, Some(Cause::new("no answer"))));
    harness.pass(SHORT).await;
    let second = claim_soon(&store).await;
    assert_eq!((second.attempt, &second.job), (2, &first.job));
    let failed = Finish::retry(second.run(), Cause::new("again"), LONG);
    finish(&store, failed).await.expect("it waits");
    assert!(claim(&store, 10).await.is_empty());
}

/// A snoozed job comes back after its wait in the same attempt.
pub async fn a_snooze_uses_no_attempt(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let retry = JobRetry { max_attempts: 1, ..JobRetry::default() };
    add(&store, job("x").with_retry(retry)).await;
    for _ in 0..3 {
        let claimed = claim_soon(&store).await;
        assert_eq!(claimed.attempt, 1);
        let snoozed = finish(&store, Finish::snooze(claimed.run(), SHORT)).await;
        assert_eq!(snoozed.expect("it waits"), JobState::Waiting);
        harness.pass(SHORT).await;
    }
}

/// A released job is ready at once, in the same attempt.
pub async fn a_released_job_is_ready_at_once(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let retry = JobRetry { max_attempts: 1, ..JobRetry::default() };
    add(&store, job("x").with_retry(retry)).await;
    for _ in 0..3 {
        let claimed = claim_one(&store).await;
        assert_eq!(claimed.attempt, 1);
        let released = finish(&store, Finish::release(claimed.run())).await;
        assert_eq!(released.expect("it is released"), JobState::Ready);
    }
}

/// A retry without a wait is ready at once.
pub async fn a_failed_attempt_can_be_repeated_at_once(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    add(&store, job("x")).await;
    let failed = Finish::retry(claim_one(&store).await.run(), Cause::new("no"), Duration::ZERO);
    assert_eq!(finish(&store, failed).await.expect("it is ready"), JobState::Ready);
    assert_eq!(claim_one(&store).await.attempt, 2);
}
