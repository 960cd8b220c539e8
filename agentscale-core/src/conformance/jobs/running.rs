//! How a run lives, and how it is lost.

use super::JobQueueHarness;
use super::scene::{
    LONG, TTL, acme, add, assert_gone, assert_kind, claim, claim_for, claim_one, claim_soon, complete,
    finish, heartbeat, job, one, state,
};
use crate::ErrorKind;
use crate::jobs::{Epoch, Finish, JobRetry, JobState, Run};

/// A run whose worker is heard of goes on.
pub async fn a_run_lives_by_its_heartbeats(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    add(&store, job("x")).await;
    let claimed = one(claim_for(&store, 1, TTL).await);
    let answer = heartbeat(&store, vec![claimed.run()], LONG).await;
    assert_eq!((answer.lost, answer.cancelled), (vec![], vec![]));
    harness.pass(TTL).await;
    assert!(claim(&store, 10).await.is_empty());
    complete(&store, &claimed).await;
}

/// A run whose time is over is another worker's, and whatever the first one says is refused.
pub async fn a_lost_run_is_taken_over_and_its_worker_told(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let other = harness.another().await;
    let id = add(&store, job("x")).await;
    let first = one(claim_for(&store, 1, TTL).await);
    harness.pass(TTL).await;
    let second = claim_soon(&other).await;
    assert_eq!((second.job.id, second.attempt), (id, 2));
    assert!(second.epoch > first.epoch);
    let answer = heartbeat(&store, vec![first.run()], LONG).await;
    assert_eq!((answer.lost, answer.cancelled), (vec![first.run()], vec![]));
    for late in [
        Finish::completed(first.run(), "late"),
        Finish::release(first.run()),
        Finish::dead(first.run(), "late".to_owned().into()),
        Finish::cancelled(first.run()),
    ] {
        assert_kind(finish(&store, late).await, ErrorKind::Fenced);
    }
    assert_eq!(state(&store, id).await, JobState::Running);
    complete(&other, &second).await;
}

/// The heartbeat of a worker that lost a run gives no time to the one that has it now.
pub async fn a_late_heartbeat_gives_no_time(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    add(&store, job("x")).await;
    let first = one(claim_for(&store, 1, TTL).await);
    harness.pass(TTL).await;
    store.changed(&["work".try_into().expect("a name")], LONG).await.expect("it is awaited");
    let second = one(claim_for(&store, 1, TTL).await);
    assert_eq!(heartbeat(&store, vec![first.run()], LONG).await.lost, [first.run()]);
    harness.pass(TTL).await;
    let third = claim_soon(&store).await;
    assert!(third.epoch > second.epoch);
}

/// A job whose claim was answered to nobody runs again, though its worker goes on with others.
pub async fn a_run_that_no_heartbeat_names_is_lost(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let ids = [add(&store, job("x")).await, add(&store, job("y")).await];
    let claimed = claim_for(&store, 2, TTL).await;
    assert_eq!(claimed.iter().map(|claimed| claimed.job.id).collect::<Vec<_>>(), ids);
    heartbeat(&store, vec![claimed[0].run()], LONG).await;
    harness.pass(TTL).await;
    assert_eq!(claim_soon(&store).await.job.id, ids[1]);
    complete(&store, &claimed[0]).await;
}

/// A heartbeat names the runs that are not under way: ended ones, and such as never were.
pub async fn a_heartbeat_tells_what_is_not_under_way(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let id = add(&store, job("x")).await;
    let ended = claim_one(&store).await;
    complete(&store, &ended).await;
    let unknown = Run { id: super::scene::id(), epoch: Epoch { incarnation: 0, counter: 1 } };
    add(&store, job("y")).await;
    let under_way = claim_one(&store).await;
    let runs = vec![ended.run(), under_way.run(), unknown];
    let mut lost = heartbeat(&store, runs, LONG).await.lost;
    lost.sort_by_key(|run| run.id == unknown.id);
    assert_eq!(lost, [ended.run(), unknown]);
    assert_gone(&store, id).await;
    assert_eq!(heartbeat(&store, vec![], LONG).await.lost, []);
}

/// A job that kills its process runs as often as it may, and ends in the dead letters with the reason.
pub async fn a_job_that_kills_its_worker_ends_in_the_dead_letters(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let retry = JobRetry { max_attempts: 2, ..JobRetry::default() };
    let id = add(&store, job("poison").with_retry(retry)).await;
    let first = one(claim_for(&store, 1, TTL).await);
    assert!(!first.is_last_attempt());
    harness.pass(TTL).await;
    store.changed(&["work".try_into().expect("a name")], LONG).await.expect("it is awaited");
    let second = one(claim_for(&store, 1, TTL).await);
    assert!(second.is_last_attempt());
    harness.pass(TTL).await;
    while state(&store, id).await != JobState::Dead {
        assert!(claim(&store, 10).await.is_empty());
    }
    let info = store.read(&acme(), id).await.expect("it is dead");
    let cause = info.cause.expect("it has a cause");
    assert!(
        cause.as_str().starts_with("lost: worker ") && cause.as_str().ends_with(" did not report"),
        "{cause}"
    );
    assert_eq!(info.attempts, 2);
    assert_kind(finish(&store, Finish::completed(second.run(), "")).await, ErrorKind::Fenced);
}
