//! Jobs that are not attempted any more.

use super::JobQueueHarness;
use super::scene::{
    LONG, acme, add, assert_gone, claim, claim_one, complete, counts, finish, job, job_in, queue, state,
    tenant, worker,
};
use crate::JobQueue;
use crate::jobs::{Cause, ClaimJobs, DeadJobQuery, Finish, Job, JobId, JobRetry, JobState};

/// The last attempt that fails makes a dead letter with its cause.
pub async fn the_last_failed_attempt_makes_a_dead_letter(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let retry = JobRetry { max_attempts: 2, ..JobRetry::default() };
    let enqueued = job("x").with_retry(retry);
    let id = add(&store, enqueued.clone()).await;
    let again = Finish::retry(claim_one(&store).await.run(), Cause::new("first"), std::time::Duration::ZERO);
    finish(&store, again).await.expect("it is ready");
    let last = Finish::retry(claim_one(&store).await.run(), Cause::new("second"), LONG);
    assert_eq!(finish(&store, last).await.expect("it is dead"), JobState::Dead);
    assert!(claim(&store, 10).await.is_empty());
    assert_eq!((state(&store, id).await, counts(&store).await.dead), (JobState::Dead, 1));
    let page = store.dead_letters(DeadJobQuery::new(10)).await.expect("they are listed");
    let dead = &page.jobs[0];
    assert_eq!((page.jobs.len(), page.next), (1, None));
    assert_eq!((&dead.job, dead.cause.as_str(), dead.attempts), (&enqueued, "second", 2));
    assert!(dead.died_unix_micros > 1_700_000_000_000_000);
}

/// A worker ends a job for ever, whatever attempts are left.
pub async fn a_worker_can_end_a_job_for_ever(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let id = kill(&store, job("x")).await;
    let info = store.read(&acme(), id).await.expect("it is dead");
    assert_eq!((info.state, info.attempts, info.cause), (JobState::Dead, 1, Some(Cause::new("no use"))));
}

/// Dead letters are listed in pages, oldest first, of one tenant, one queue or all.
pub async fn dead_letters_are_listed_in_pages(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(kill(&store, job(number.to_string())).await);
    }
    let foreign = kill(&store, Job { tenant: tenant("globex"), ..job("foreign") }).await;
    let other = kill(&store, job_in("other", "other")).await;

    let mut listed = Vec::new();
    let mut query = DeadJobQuery::new(2).of(acme()).in_queue(queue("work"));
    loop {
        let page = store.dead_letters(query.clone()).await.expect("they are listed");
        assert!(page.jobs.len() <= 2);
        listed.extend(page.jobs.iter().map(|dead| dead.job.id));
        let Some(next) = page.next else { break };
        query = query.after(next);
    }
    assert_eq!(listed, ids);
    let of = |query| async { store.dead_letters(query).await.expect("they are listed").jobs };
    let all = DeadJobQuery::new(10);
    assert_eq!(of(all.clone()).await.len(), 7);
    assert_eq!(of(all.clone().of(tenant("globex"))).await[0].job.id, foreign);
    let in_other = of(all.in_queue(queue("other"))).await;
    assert_eq!(in_other.iter().map(|dead| dead.job.id).collect::<Vec<_>>(), [other]);
}

/// A redriven job is ready with all its attempts; what is not dead is not redriven.
pub async fn a_redriven_job_has_all_its_attempts_again(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let retry = JobRetry { max_attempts: 1, ..JobRetry::default() };
    let enqueued = job("x").with_retry(retry);
    let id = kill(&store, enqueued.clone()).await;
    let ready = add(&store, job("y")).await;
    let unknown = super::scene::id();
    assert_eq!(store.redrive(&acme(), vec![id, ready, unknown]).await.expect("one is dead"), [id]);
    assert_eq!(store.redrive(&acme(), vec![id]).await.expect("none is dead"), []);
    assert_eq!(counts(&store).await.dead, 0);
    let claimed = claim(&store, 10).await;
    let redriven = claimed.iter().find(|claimed| claimed.job.id == id).expect("it is claimed");
    assert_eq!((&redriven.job, redriven.attempt), (&enqueued, 1));
    complete(&store, redriven).await;
    assert_gone(&store, id).await;
}

/// A discarded job is gone; what is not dead is not discarded.
pub async fn a_discarded_job_is_gone(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let id = kill(&store, job("x")).await;
    let ready = add(&store, job("y")).await;
    assert_eq!(store.discard(&acme(), vec![id, ready]).await.expect("one is dead"), [id]);
    assert_gone(&store, id).await;
    assert_eq!(state(&store, ready).await, JobState::Ready);
    assert_eq!(store.discard(&acme(), vec![id]).await.expect("none is dead"), []);
}

/// Adds a job and ends it for ever.
async fn kill(store: &dyn JobQueue, job: Job) -> JobId {
    let name = job.queue.clone();
    let id = add(store, job).await;
    let claimed = store.claim(ClaimJobs::new(worker(), name, 1)).await.expect("it is claimed");
    assert_eq!(claimed[0].job.id, id);
    let dead = finish(store, Finish::dead(claimed[0].run(), Cause::new("no use"))).await;
    assert_eq!(dead.expect("it is dead"), JobState::Dead);
    id
}
