//! Times that passed while nobody ticked.

use super::ScheduleStoreHarness;
use super::scene::{SECOND, ago, every_second, schedule};
use crate::schedule::MissedRuns;

/// By default all of them are one job, at the time of the last.
pub async fn times_that_passed_become_one_job(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let first = store.put(schedule("a", every_second(harness))).await.next_run_at.expect("it runs");
    harness.pass(SECOND * 3).await;
    let fired = store.tick().await.fired.remove(0);
    let info = store.get("a").await;
    assert_eq!((fired.jobs.len(), info.counts), (1, fired.counts));
    let last = info.last_fired_at.expect("it ran");
    assert_eq!((last - first) / 1_000_000, info.counts.missed);
    assert!(info.counts.missed >= 2, "{info:?}");
    assert_eq!(info.next_run_at, Some(last + 1_000_000));
}

/// Where it is asked for, each of the last ones is a job of its own.
pub async fn times_that_passed_are_made_up_for_one_by_one(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let catch_up = schedule("a", every_second(harness)).with_missed(MissedRuns::CatchUp { most: 2 });
    let first = store.put(catch_up).await.next_run_at.expect("it runs");
    harness.pass(SECOND * 3).await;
    let fired = store.tick().await.fired.remove(0);
    let last = store.get("a").await.last_fired_at.expect("it ran");
    assert_eq!(fired.jobs.len(), 2);
    assert_eq!((last - first) / 1_000_000 + 1, fired.counts.fired + fired.counts.missed);
    assert_eq!(store.claim().await.len(), 2);
}

/// A run more than a minute late is none where it is to be skipped; one a bit late is.
pub async fn a_late_run_is_skipped_where_it_is_to_be(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    for (name, seconds) in [("late", 90), ("nearly", 20)] {
        store.put(schedule(name, ago(harness, SECOND * seconds)).with_missed(MissedRuns::Skip)).await;
    }
    store.tick().await;
    let counts = [store.get("late").await.counts, store.get("nearly").await.counts];
    assert_eq!(counts.map(|counts| (counts.fired, counts.missed)), [(0, 1), (1, 0)]);
    assert_eq!(store.claim().await.len(), 1);
}

/// A run more than a minute late is counted as such.
pub async fn a_late_run_is_counted(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    for (name, seconds) in [("late", 90), ("nearly", 20)] {
        store.put(schedule(name, ago(harness, SECOND * seconds))).await;
    }
    store.tick().await;
    let counts = [store.get("late").await.counts, store.get("nearly").await.counts];
    assert_eq!(counts.map(|counts| (counts.fired, counts.late)), [(1, 1), (1, 0)]);
}
