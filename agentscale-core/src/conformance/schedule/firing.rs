//! When schedules fire, and how often.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ScheduleStoreHarness;
use super::scene::{SECOND, ago, every_second, hourly, key, schedule, template};
use crate::Priority;
use crate::jobs::{Finish, JobRetry};
use crate::schedule::{Overlap, Timing};

/// A job is enqueued as the schedule says, and its id has the time of the run.
pub async fn a_time_that_has_come_enqueues_its_job(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let mut due = schedule("a", ago(harness, SECOND));
    due.job = template("hello").with_priority(Priority::Incident).with_timeout(SECOND);
    due.job.retry = JobRetry { max_attempts: 2, ..JobRetry::default() };
    let info = store.put(due.clone()).await;
    let tick = store.tick().await;
    let [fired] = &tick.fired[..] else { panic!("it is due: {tick:?}") };
    let jobs = store.claim().await;
    let [claimed] = &jobs[..] else { panic!("it is enqueued: {jobs:?}") };
    assert_eq!((&fired.key, &fired.jobs), (&due.key, &vec![claimed.job.id]));
    assert_eq!(claimed.job, due.job.job(claimed.job.id, due.key.tenant.clone()));
    let run_at = info.next_run_at.expect("it is due");
    let (seconds, nanos) = claimed.job.id.0.get_timestamp().expect("of version 7").to_unix();
    assert_eq!(seconds * 1_000 + u64::from(nanos) / 1_000_000, run_at / 1_000);
    let after = store.get("a").await;
    assert_eq!((after.last_fired_at, after.counts.fired, after.epoch), (Some(run_at), 1, fired.epoch));
}

/// What is not due is left alone, and the tick says when the first is.
pub async fn nothing_fires_before_its_time(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    assert_eq!(store.tick().await.next_due_in, None);
    store.put(schedule("a", hourly())).await;
    let in_a_minute = harness.unix_micros() + 60_000_000;
    store.put(schedule("b", Timing::Once { at_unix_micros: in_a_minute })).await;
    let tick = store.tick().await;
    assert_eq!((tick.fired.len(), tick.more), (0, false));
    let next = tick.next_due_in.expect("there are some");
    assert!(next <= SECOND * 61, "{next:?}");
    assert_eq!(store.claim().await, []);
}

/// A single run has no second one.
pub async fn a_single_run_comes_once(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    store.put(schedule("a", ago(harness, Duration::ZERO))).await;
    assert_eq!(store.tick().await.fired.len(), 1);
    let tick = store.tick().await;
    assert_eq!((tick.fired.len(), tick.next_due_in), (0, None));
    assert_eq!((store.get("a").await.next_run_at, store.claim().await.len()), (None, 1));
}

/// Each time of an interval enqueues one job.
pub async fn an_interval_comes_again(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let first = store.put(schedule("a", every_second(harness))).await.next_run_at.expect("it runs");
    for round in 0..2 {
        harness.pass(SECOND).await;
        store.tick().await;
        let info = store.get("a").await;
        assert!(info.last_fired_at >= Some(first + round * 1_000_000), "{info:?}");
        assert_eq!(info.next_run_at, info.last_fired_at.map(|last| last + 1_000_000));
    }
}

/// Several that tick at once share what is due: each time has one job.
pub async fn of_many_that_tick_one_fires_each_time(harness: &dyn ScheduleStoreHarness) {
    const SCHEDULES: usize = 60;
    let store = harness.start().await;
    for number in 0..SCHEDULES {
        store.put(schedule(&format!("schedule {number}"), ago(harness, SECOND))).await;
    }
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let store = harness.another().await;
        tasks.push(tokio::spawn(async move {
            let mut fired = Vec::new();
            loop {
                let tick = store.schedules.tick(7).await.expect("it ticks");
                if tick.fired.is_empty() {
                    return fired;
                }
                fired.extend(tick.fired);
            }
        }));
    }
    let mut jobs = Vec::new();
    for task in tasks {
        jobs.extend(task.await.expect("it ends").into_iter().flat_map(|fired| fired.jobs));
    }
    // Whoever found the last ones locked by another has stopped.
    jobs.extend(store.tick().await.fired.into_iter().flat_map(|fired| fired.jobs));
    assert_eq!((jobs.len(), jobs.iter().collect::<BTreeSet<_>>().len()), (SCHEDULES, SCHEDULES));
    let claimed: BTreeSet<_> = store.claim().await.into_iter().map(|claimed| claimed.job.id).collect();
    assert_eq!(claimed, jobs.into_iter().collect());
}

/// Whoever stops waiting for a tick leaves each schedule fired with its job, or due.
pub async fn a_tick_that_is_dropped_has_fired_or_not(harness: &dyn ScheduleStoreHarness) {
    const SCHEDULES: usize = 60;
    let store = harness.start().await;
    for number in 0..SCHEDULES {
        store.put(schedule(&format!("schedule {number}"), ago(harness, SECOND))).await;
    }
    for round in 0..25 {
        let patience = Duration::from_micros(100 * round);
        // Whether it was answered or dropped does not matter here.
        let _ = tokio::time::timeout(patience, store.schedules.tick(2)).await;
    }
    // What a dropped tick holds is let go soon.
    while store.jobs.counts(&["mail".try_into().expect("a name")]).await.expect("they are counted")[0].ready
        < SCHEDULES as u64
    {
        store.tick().await;
    }
    let jobs: BTreeSet<_> = store.claim().await.into_iter().map(|claimed| claimed.job.id).collect();
    assert_eq!(jobs.len(), SCHEDULES);
    assert_eq!((store.tick().await.fired.len(), store.claim().await.len()), (0, 0));
}

/// No more than asked for fire at once, and those first that are due longest.
pub async fn a_tick_takes_what_is_due_longest_and_says_that_there_is_more(
    harness: &dyn ScheduleStoreHarness,
) {
    let store = harness.start().await;
    for (name, seconds) in [("b", 20), ("c", 10), ("a", 30)] {
        store.put(schedule(name, ago(harness, SECOND * seconds))).await;
    }
    let tick = store.schedules.tick(2).await.expect("it ticks");
    let names: BTreeSet<_> = tick.fired.iter().map(|fired| fired.key.name.as_str()).collect();
    assert_eq!((names, tick.more), (BTreeSet::from(["a", "b"]), true));
    let tick = store.schedules.tick(2).await.expect("it ticks");
    assert_eq!((tick.fired.len(), tick.more), (1, false));
    assert_eq!(tick.fired[0].key.name.as_str(), "c");
}

/// Where jobs are not to overlap, a run is left out until the last one's job has ended, retries included.
pub async fn a_run_is_left_out_while_the_job_of_the_last_one_has_not_ended(
    harness: &dyn ScheduleStoreHarness,
) {
    let store = harness.start().await;
    store.put(schedule("a", every_second(harness)).with_overlap(Overlap::Skip)).await;
    harness.pass(SECOND).await;
    assert_eq!(store.tick().await.fired[0].counts.fired, 1);
    let jobs = store.claim().await;
    harness.pass(SECOND).await;
    let fired = store.tick().await.fired;
    assert_eq!((fired[0].counts.fired, fired[0].counts.overlapped, fired[0].jobs.len()), (0, 1, 0));
    let done = Finish::completed(jobs[0].run(), "");
    store.jobs.finish(vec![done]).await.expect("it is heard").remove(0).expect("it is done");
    harness.pass(SECOND).await;
    assert_eq!(store.tick().await.fired[0].counts.fired, 1);
    let counts = store.get("a").await.counts;
    assert_eq!((counts.fired, counts.overlapped), (2, 1));
}

/// What was deleted fires no more; the jobs that it enqueued stay.
pub async fn a_deleted_schedule_fires_no_more(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    store.put(schedule("a", ago(harness, SECOND))).await;
    store.tick().await;
    store.put(schedule("b", ago(harness, SECOND))).await;
    for name in ["a", "b"] {
        assert!(store.schedules.delete(&key(name), None).await.expect("it is deleted"));
    }
    assert_eq!(store.tick().await.fired, []);
    assert_eq!(store.claim().await.len(), 1);
}
