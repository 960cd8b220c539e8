//! How workers learn that there is something to do.

use std::sync::Arc;
use std::time::Duration;

use super::JobQueueHarness;
use super::scene::{
    LONG, SHORT, TTL, add, claim, claim_for, claim_one, counts, finish, job, job_in, one, queue,
};
use crate::JobQueue;
use crate::jobs::{Cause, Finish, QueueName};

/// What can be claimed is found at once, and the queue that has it is named.
pub async fn what_is_ready_is_found_at_once(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    add(&store, job("x")).await;
    let both = [queue("other"), queue("work")];
    assert_eq!(store.changed(&both, LONG).await.expect("it is found"), [queue("work")]);
    add(&store, job_in("other", "y")).await;
    let mut found = store.changed(&both, LONG).await.expect("they are found");
    found.sort();
    assert_eq!(found, both);
}

/// Where there is nothing to claim, the wait ends with its time.
pub async fn a_wait_for_nothing_ends(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    add(&store, job("x")).await;
    claim_one(&store).await;
    add(&store, job("later").with_delay(LONG)).await;
    let wait = Duration::from_millis(50);
    assert_eq!(store.changed(&[queue("work")], wait).await.expect("it ends"), [] as [QueueName; 0]);
}

/// Whoever waits is woken by an enqueue, by whichever process.
pub async fn an_enqueue_wakes_who_waits(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    for adding in [Arc::clone(&store), harness.another().await] {
        let woken = wait(&store);
        add(&adding, job("x")).await;
        assert_eq!(woken.await.expect("it is woken"), [queue("work")]);
        claim_one(&store).await;
    }
}

/// Whoever waits is woken by what is given back, redriven, due, or lost.
pub async fn what_is_ready_again_wakes_who_waits(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    add(&store, job("x")).await;
    let run = claim_one(&store).await.run();
    let woken = wait(&store);
    finish(&store, Finish::release(run)).await.expect("it is released");
    assert_eq!(woken.await.expect("it is woken"), [queue("work")]);

    let run = claim_one(&store).await.run();
    let woken = wait(&store);
    finish(&store, Finish::retry(run, Cause::new("no"), SHORT)).await.expect("it waits");
    harness.pass(SHORT).await;
    assert_eq!(woken.await.expect("it is woken"), [queue("work")]);

    one(claim_for(&store, 1, TTL).await);
    let woken = wait(&store);
    harness.pass(TTL).await;
    assert_eq!(woken.await.expect("it is woken"), [queue("work")]);
}

fn wait(store: &Arc<dyn JobQueue>) -> tokio::task::JoinHandle<Vec<QueueName>> {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.changed(&[queue("work")], LONG).await.expect("it is awaited") })
}

/// What a queue holds is counted by state.
pub async fn a_queue_is_counted(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    assert_eq!((counts(&store).await.ready, counts(&store).await.oldest_ready), (0, None));
    for payload in ["a", "b", "c", "d"] {
        add(&store, job(payload)).await;
    }
    add(&store, job("waiting").with_delay(LONG)).await;
    add(&store, job_in("other", "other")).await;
    harness.pass(SHORT).await;
    let claimed = claim(&store, 2).await;
    finish(&store, Finish::dead(claimed[0].run(), Cause::new("no"))).await.expect("it is dead");
    let names = [queue("other"), queue("none"), queue("work")];
    let counts = store.counts(&names).await.expect("jobs are counted");
    let numbers: Vec<_> =
        counts.iter().map(|counts| (counts.waiting, counts.ready, counts.running, counts.dead)).collect();
    assert_eq!(numbers, [(0, 1, 0, 0), (0, 0, 0, 0), (1, 2, 1, 1)]);
    assert!(names.iter().eq(counts.iter().map(|counts| &counts.queue)));
    assert!(counts[2].oldest_ready.is_some_and(|age| age >= SHORT && age < LONG), "{counts:?}");
}
