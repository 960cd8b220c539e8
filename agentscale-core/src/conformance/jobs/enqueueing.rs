//! How a job gets into a queue.

use std::sync::Arc;
use std::time::Duration;

use super::JobQueueHarness;
use super::scene::{
    LONG, SHORT, acme, add, assert_kind, claim, claim_one, claim_soon, complete, counts, enqueue, finish, id,
    job, state, tenant,
};
use crate::jobs::{Cause, Enqueued, Finish, Job, JobRetry, JobStart, JobState};
use crate::layers::{Backoff, Jitter};
use crate::{ErrorKind, MAX_NAME_BYTES, Priority, TraceContext};

/// A claimed job is the one that was enqueued, in its first attempt.
pub async fn a_job_is_claimed_as_it_was_enqueued(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let retry = JobRetry {
        max_attempts: 7,
        backoff: Backoff::Linear,
        first_delay: Duration::from_millis(1),
        max_delay: LONG,
        jitter: Jitter::None,
    };
    let mut trace =
        TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").expect("one");
    trace.tracestate = "vendor=1".to_owned();
    let enqueued = job(vec![0, 159, 146, 150, b'\'', b'%'])
        .with_priority(Priority::Evaluation)
        .with_retry(retry)
        .with_timeout(Duration::from_millis(1_500))
        .with_trace(trace);
    add(&store, enqueued.clone()).await;
    let claimed = claim_one(&store).await;
    assert_eq!((claimed.job, claimed.attempt), (enqueued, 1));
    assert!(claimed.enqueued_unix_micros > 1_700_000_000_000_000);
}

/// The plainest job has an empty payload and what else is the default; names of the longest length are kept.
pub async fn the_plainest_and_the_longest_are_kept(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let plain = job("");
    add(&store, plain.clone()).await;
    assert_eq!(claim_one(&store).await.job, plain);
    let long = format!("{}ab", "é'\"\\% ".repeat(MAX_NAME_BYTES / 7));
    let named = Job::new(
        id(),
        tenant(&long),
        plain.queue,
        long.as_str().try_into().expect("a name"),
        vec![7; 1 << 20],
    );
    add(&store, named.clone()).await;
    assert_eq!(claim_one(&store).await.job, named);
}

/// An enqueue that is repeated adds nothing, wherever the job has come to.
pub async fn a_repeated_enqueue_adds_nothing(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let repeated = job("x");
    let id = add(&store, repeated.clone()).await;
    let exists = Enqueued::Exists { id, outcome: None };
    assert_eq!(enqueue(&store, repeated.clone()).await.expect("it is there"), exists);
    let claimed = claim_one(&store).await;
    assert_eq!(enqueue(&store, repeated.clone()).await.expect("it runs"), exists);
    finish(&store, Finish::snooze(claimed.run(), LONG)).await.expect("it waits");
    assert_eq!(enqueue(&store, repeated.clone()).await.expect("it waits"), exists);
    assert_eq!(counts(&store).await.waiting, 1);
}

/// The same id with another kind, payload, queue or tenant is a conflict that names the job.
pub async fn an_id_with_other_content_is_a_conflict(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let first = job("x");
    let id = add(&store, first.clone()).await;
    let others = [
        Job { payload: "y".into(), ..first.clone() },
        Job { kind: "other".try_into().expect("a name"), ..first.clone() },
        Job { queue: "other".try_into().expect("a name"), ..first.clone() },
        Job { tenant: tenant("globex"), ..first.clone() },
    ];
    for other in others {
        let error = assert_kind(enqueue(&store, other).await, ErrorKind::Conflict);
        assert_eq!(error.context("job"), Some(id.to_string().as_str()));
    }
    assert_eq!(claim_one(&store).await.job, first);
}

/// A refused job keeps the others of its list out.
pub async fn all_are_added_or_none(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let first = job("x");
    add(&store, first.clone()).await;
    let jobs = vec![job("before"), Job { payload: "y".into(), ..first }, job("behind")];
    assert_kind(store.enqueue(jobs).await, ErrorKind::Conflict);
    assert_eq!(counts(&store).await.ready, 1);
}

/// A long list is answered in its order; a job that it names twice is added once.
pub async fn a_list_is_answered_in_its_order(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    assert_eq!(store.enqueue(Vec::new()).await.expect("nothing is added"), []);
    let mut jobs: Vec<_> = (0..499).map(|number| job(number.to_string())).collect();
    add(&store, jobs[7].clone()).await;
    jobs.push(jobs[3].clone());
    let answers = store.enqueue(jobs.clone()).await.expect("they are added");
    for (place, (answer, job)) in answers.iter().zip(&jobs).enumerate() {
        assert_eq!((answer.id(), answer.is_added()), (job.id, place != 7 && place != 499), "{place}");
    }
    assert_eq!((answers.len(), counts(&store).await.ready), (500, 499));
}

/// Of many that enqueue the same job at once, one adds it.
pub async fn of_concurrent_enqueues_of_one_job_one_adds_it(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let other = harness.another().await;
    let same = job("x");
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let store = Arc::clone(if number % 2 == 0 { &store } else { &other });
            let same = same.clone();
            tokio::spawn(async move { enqueue(&store, same).await.expect("it is there") })
        })
        .collect();
    let mut added = 0;
    for task in tasks {
        added += usize::from(task.await.expect("it is answered").is_added());
    }
    assert_eq!((added, counts(&store).await.ready), (1, 1));
}

/// A job with a delay is not claimed before its time, and is without anybody's doing afterwards.
pub async fn a_delayed_job_waits_for_its_time(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let far = add(&store, job("far").with_delay(LONG)).await;
    assert!(claim(&store, 10).await.is_empty());
    assert_eq!(state(&store, far).await, JobState::Waiting);
    let near = job("near").with_delay(SHORT);
    add(&store, near.clone()).await;
    harness.pass(SHORT).await;
    let claimed = claim_soon(&store).await;
    assert_eq!(claimed.job, Job { start: JobStart::Now, ..near });
    assert!(claim(&store, 10).await.is_empty());
}

/// A job for a moment that is over is ready at once; one for a moment to come waits.
pub async fn a_job_waits_for_its_moment(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    add(&store, job("never").at(253_402_214_400_000_000)).await;
    let past = add(&store, job("past").at(1)).await;
    assert_eq!(claim_soon(&store).await.job.id, past);
    let counts = counts(&store).await;
    assert_eq!((counts.waiting, counts.ready, counts.running), (1, 0, 1));
}

/// Each tenant has its own jobs: nobody reads or changes those of others, though the ids be known.
pub async fn tenants_are_apart(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let globex = tenant("globex");
    let id = add(&store, job("x")).await;
    assert_kind(store.read(&globex, id).await, ErrorKind::NotFound);
    assert_kind(store.cancel(&globex, id).await, ErrorKind::NotFound);
    let dead = claim_one(&store).await;
    finish(&store, Finish::dead(dead.run(), Cause::new("no"))).await.expect("it is dead");
    assert_eq!(store.redrive(&globex, vec![id]).await.expect("none"), []);
    assert_eq!(store.discard(&globex, vec![id]).await.expect("none"), []);
    assert_eq!(store.redrive(&acme(), vec![id]).await.expect("it is redriven"), [id]);
    complete(&store, &claim_one(&store).await).await;
}
