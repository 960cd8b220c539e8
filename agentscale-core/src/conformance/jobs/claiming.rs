//! Who gets which jobs.

use std::collections::HashSet;
use std::sync::Arc;

use super::JobQueueHarness;
use super::scene::{
    LONG, add, assert_gone, assert_kind, claim, claim_one, complete, counts, finish, job, job_in, queue,
    worker,
};
use crate::jobs::{ClaimJobs, Epoch, Finish};
use crate::{ErrorKind, JobQueue, Priority};

/// What is more urgent goes first, and of one class what is older.
pub async fn the_urgent_and_the_old_go_first(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let mut expected = Vec::new();
    for priority in Priority::ALL.into_iter().rev() {
        for number in 0..2 {
            let id = add(&store, job(number.to_string()).with_priority(priority)).await;
            expected.push((priority, number, id));
        }
    }
    expected.sort_by_key(|(priority, number, _)| (*priority, *number));
    let first: Vec<_> = claim(&store, 5).await.iter().map(|claimed| claimed.job.id).collect();
    let then: Vec<_> = claim(&store, 10).await.iter().map(|claimed| claimed.job.id).collect();
    let taken: Vec<_> = first.into_iter().chain(then).collect();
    assert_eq!(taken, expected.iter().map(|(_, _, id)| *id).collect::<Vec<_>>());
}

/// Of sixteen jobs that are claimed at once one is the oldest, whatever its class.
pub async fn the_oldest_gets_its_share_of_a_large_claim(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let old = add(&store, job("old").with_priority(Priority::Evaluation)).await;
    crowd(&store, 64).await;
    for _ in 0..2 {
        if claim(&store, 16).await.iter().any(|claimed| claimed.job.id == old) {
            return;
        }
    }
    panic!("32 jobs were claimed before the oldest");
}

/// So it is where jobs are claimed one by one.
pub async fn the_oldest_gets_its_share_of_small_claims(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let old = add(&store, job("old").with_priority(Priority::Evaluation)).await;
    crowd(&store, 64).await;
    for _ in 0..32 {
        if claim(&store, 1).await.iter().any(|claimed| claimed.job.id == old) {
            return;
        }
    }
    panic!("32 jobs were claimed before the oldest");
}

async fn crowd(store: &dyn JobQueue, number: usize) {
    let jobs = (0..number).map(|_| job("new").with_priority(Priority::Incident)).collect();
    store.enqueue(jobs).await.expect("they are added");
}

/// A claim takes no more than it asks for, and no more than the queue gives at once.
pub async fn a_claim_is_bounded(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let most = store.capabilities().limits.batch;
    store.enqueue((0..most).map(|_| job("x")).collect()).await.expect("they are added");
    assert_eq!(claim(&store, 3).await.len(), 3);
    store.enqueue((0..4).map(|_| job("y")).collect()).await.expect("they are added");
    let claimed = claim(&store, usize::MAX).await.len();
    assert!(claimed > most / 2 && claimed <= most, "{claimed}");
}

/// Many that claim at once, from several processes, get each job once.
pub async fn concurrent_claims_are_disjoint(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let other = harness.another().await;
    store.enqueue((0..500).map(|number| job(number.to_string())).collect()).await.expect("they are added");
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let store = Arc::clone(if number % 2 == 0 { &store } else { &other });
            tokio::spawn(async move {
                let mut taken = Vec::new();
                loop {
                    let claimed = claim(&store, 7).await;
                    if claimed.is_empty() && counts(&store).await.ready == 0 {
                        return taken;
                    }
                    taken.extend(claimed.into_iter().map(|claimed| claimed.job.id));
                }
            })
        })
        .collect();
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.expect("it ends"));
    }
    let different: HashSet<_> = taken.iter().collect();
    assert_eq!((taken.len(), different.len(), counts(&store).await.running), (500, 500, 500));
}

/// A claim takes jobs of its queue only.
pub async fn queues_are_apart(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let other = add(&store, job_in("other", "x")).await;
    assert!(claim(&store, 10).await.is_empty());
    let request = ClaimJobs::new(worker(), queue("other"), 10);
    let claimed = store.claim(request).await.expect("jobs are claimed");
    assert_eq!(claimed.iter().map(|claimed| claimed.job.id).collect::<Vec<_>>(), [other]);
}

/// Each run of a job takes a higher epoch.
pub async fn each_run_takes_a_higher_epoch(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    add(&store, job("x")).await;
    let mut last = Epoch::default();
    for round in 0..4 {
        let claimed = claim_one(&store).await;
        assert!(claimed.epoch > last, "round {round}");
        last = claimed.epoch;
        finish(&store, Finish::release(claimed.run())).await.expect("it is released");
    }
}

/// A worker of a job that has ended does nothing to another one of the same id.
pub async fn an_id_that_is_used_again_keeps_old_runs_out(harness: &dyn JobQueueHarness) {
    let store = harness.start().await;
    let same = job("x");
    let mut old = Vec::new();
    for _ in 0..3 {
        add(&store, same.clone()).await;
        let claimed = claim_one(&store).await;
        for run in &old {
            assert_kind(finish(&store, Finish::completed(*run, "")).await, ErrorKind::Fenced);
            let late = finish(&store, Finish::snooze(*run, LONG)).await;
            assert_kind(late, ErrorKind::Fenced);
        }
        complete(&store, &claimed).await;
        old.push(claimed.run());
    }
    assert_gone(&store, same.id).await;
}
