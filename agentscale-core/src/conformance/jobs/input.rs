//! Bad input is refused by kind.

use std::time::Duration;

use super::JobQueueHarness;
use super::scene::{
    LONG, acme, add, assert_kind, claim_one, complete, counts, enqueue, finish, id, job, key_like, queue,
    worker,
};
use crate::jobs::{
    ClaimJobs, Finish, Heartbeat, Idempotency, JobRetry, MAX_ATTEMPTS, MAX_TTL, MAX_WAIT, MIN_TTL, Run,
};
use crate::{ErrorKind, MAX_NAME_BYTES};

/// A job that no queue takes is refused before anything is written.
pub async fn a_bad_job_is_refused(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let limits = store.capabilities().limits;
    let too_long = MAX_WAIT + Duration::from_secs(1);
    let retry = |max_attempts| JobRetry { max_attempts, ..JobRetry::default() };
    let waits = JobRetry { first_delay: LONG, max_delay: LONG / 2, ..JobRetry::default() };
    let kept = Idempotency { retention: too_long, ..Idempotency::new(key_like("k")) };
    for (bad, kind) in [
        (job(vec![0; limits.payload_bytes + 1]), ErrorKind::TooLarge),
        (job("").with_retry(retry(0)), ErrorKind::InvalidInput),
        (job("").with_retry(retry(MAX_ATTEMPTS + 1)), ErrorKind::InvalidInput),
        (job("").with_retry(waits), ErrorKind::InvalidInput),
        (job("").with_delay(too_long), ErrorKind::InvalidInput),
        (job("").with_delay(Duration::MAX), ErrorKind::InvalidInput),
        (job("").at(u64::MAX), ErrorKind::InvalidInput),
        (job("").with_timeout(Duration::ZERO), ErrorKind::InvalidInput),
        (job("").with_timeout(too_long), ErrorKind::InvalidInput),
        (job("").with_idempotency(kept), ErrorKind::InvalidInput),
    ] {
        let error = assert_kind(store.enqueue(vec![job("good"), bad.clone()]).await, kind);
        assert_eq!(error.context("job"), Some(bad.id.to_string().as_str()), "{error}");
    }
    let many = vec![job(""); limits.batch + 1];
    assert_kind(store.enqueue(many).await, ErrorKind::TooLarge);
    assert_eq!(counts(&store).await.ready, 0);
}

/// The largest job that a queue takes comes out as it went in.
pub async fn the_largest_job_is_kept(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let limits = store.capabilities().limits;
    let large = job(vec![7; limits.payload_bytes])
        .with_retry(JobRetry { max_attempts: MAX_ATTEMPTS, max_delay: MAX_WAIT, ..JobRetry::default() })
        .with_timeout(MAX_WAIT);
    add(&store, large.clone()).await;
    let claimed = claim_one(&store).await;
    assert_eq!(claimed.job, large);
    complete(&store, &claimed).await;
    add(&store, job("").with_delay(MAX_WAIT)).await;
}

/// Claims and heartbeats out of bounds are refused.
pub async fn a_bad_claim_is_refused(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    add(&store, job("x")).await;
    let claim = |limit| ClaimJobs::new(worker(), queue("work"), limit);
    assert_kind(store.claim(claim(0)).await, ErrorKind::InvalidInput);
    let micro = Duration::from_micros(1);
    for ttl in [Duration::ZERO, MIN_TTL - micro, MAX_TTL + micro, Duration::MAX] {
        assert_kind(store.claim(claim(1).with_ttl(ttl)).await, ErrorKind::InvalidInput);
        let heartbeat = Heartbeat::new(worker(), vec![]).with_ttl(ttl);
        assert_kind(store.heartbeat(heartbeat).await, ErrorKind::InvalidInput);
    }
    assert_kind(store.changed(&[], LONG).await, ErrorKind::InvalidInput);
    let run = claim_one(&store).await.run();
    let many = vec![run; store.capabilities().limits.batch + 1];
    assert_kind(store.heartbeat(Heartbeat::new(worker(), many.clone())).await, ErrorKind::TooLarge);
    let finishes = many.iter().map(|run| Finish::release(*run)).collect();
    assert_kind(store.finish(finishes).await, ErrorKind::TooLarge);
    let ids: Vec<_> = many.iter().map(|run| run.id).collect();
    assert_kind(store.redrive(&acme(), ids.clone()).await, ErrorKind::TooLarge);
    assert_kind(store.discard(&acme(), ids).await, ErrorKind::TooLarge);
}

/// What is said about a job or a run that never was is refused.
pub async fn the_unknown_is_not_found(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let unknown = id();
    assert_kind(store.read(&acme(), unknown).await, ErrorKind::NotFound);
    assert_kind(store.cancel(&acme(), unknown).await, ErrorKind::NotFound);
    let run = Run { id: unknown, epoch: crate::jobs::Epoch { incarnation: 3, counter: u64::MAX } };
    assert_kind(finish(&store, Finish::completed(run, "")).await, ErrorKind::Fenced);
    assert_eq!(store.outcome(&acme(), &key_like("never")).await.expect("it is read"), None);
    assert_eq!(store.redrive(&acme(), vec![]).await.expect("none"), []);
}

/// A wait of a finish that is too long is refused, and the run goes on.
pub async fn a_bad_finish_leaves_the_run_under_way(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    add(&store, job("x")).await;
    let claimed = claim_one(&store).await;
    for wait in [MAX_WAIT + Duration::from_secs(1), Duration::MAX] {
        let snoozed = finish(&store, Finish::snooze(claimed.run(), wait)).await;
        assert_kind(snoozed, ErrorKind::InvalidInput);
        let retried = Finish::retry(claimed.run(), "no".to_owned().into(), wait);
        assert_kind(finish(&store, retried).await, ErrorKind::InvalidInput);
    }
    complete(&store, &claimed).await;
}

/// Keys of the longest length are told apart by their last byte.
pub async fn the_longest_keys_are_told_apart(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let long = |last: &str| format!("{}{last}", "é'\"\\% ".repeat(MAX_NAME_BYTES / 7));
    for last in ["a", "b"] {
        let idempotency = Idempotency::new(key_like(&long(last)));
        add(&store, job("x").with_idempotency(idempotency.clone())).await;
        let again = enqueue(&store, job("x").with_idempotency(idempotency)).await;
        assert!(!again.expect("it is known").is_added());
    }
}
