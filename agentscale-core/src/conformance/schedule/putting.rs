//! What is stored, and what is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ScheduleStoreHarness;
use super::scene::{SLACK, ago, assert_kind, every_second, hourly, key, on, schedule, template};
use crate::jobs::JobRetry;
use crate::schedule::{Expected, MissedRuns, Overlap, PutSchedule, Revision, Timing};
use crate::{ErrorKind, Priority};

/// In the year 8307.
const FAR: u64 = 200_000_000_000_000_000;

/// What was stored is read again, every field of it, with the time of the first run.
pub async fn a_schedule_is_kept_as_it_was_given(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let retry = JobRetry { max_attempts: 3, ..JobRetry::default() };
    let mut full = schedule("full", Timing::cron("30 9 * * MON-FRI", "Europe/Berlin"))
        .with_missed(MissedRuns::CatchUp { most: 7 })
        .with_overlap(Overlap::Skip);
    full.job = template("\u{0}\u{1}é").with_priority(Priority::Incident).with_retry(retry);
    full.job.timeout = Some(Duration::from_millis(1_500));
    let interval = Timing::Every { interval: Duration::from_secs(90), anchor_unix_micros: FAR };
    let kept = [
        full,
        schedule("interval", interval),
        schedule("once", ago(harness, Duration::ZERO)),
        schedule("event", on("orders")),
    ];
    for schedule in kept {
        let info = store.put(schedule.clone()).await;
        assert_eq!(info.schedule, schedule);
        assert_eq!(store.get(schedule.key.name.as_str()).await, info);
        assert_eq!(info.next_run_at.is_none(), matches!(schedule.timing, Timing::Event { .. }));
        assert_eq!((info.is_paused, info.last_fired_at, info.counts.fired), (false, None, 0));
    }
    assert_eq!(store.get("interval").await.next_run_at, Some(FAR));
    assert_eq!(store.schedules.get(&key("other")).await.expect("it is read"), None);
}

/// What is no expression, no zone, no interval or never runs is refused with the name of the field; nothing is stored.
pub async fn what_cannot_run_is_refused_by_field(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let every = |interval| Timing::Every { interval, anchor_unix_micros: 0 };
    let refused = [
        (Timing::cron("every day at noon", "UTC"), "expression"),
        (Timing::cron("", "UTC"), "expression"),
        (Timing::cron("* * * * \0", "UTC"), "expression"),
        (Timing::cron("61 * * * *", "UTC"), "expression"),
        (Timing::cron("0 0 30 2 *", "UTC"), "expression"),
        (Timing::cron("0 0 0 1 1 * 1999", "UTC"), "expression"),
        (Timing::cron("0 0 * * *", "Mars/Olympus"), "zone"),
        (Timing::cron("0 0 * * *", ""), "zone"),
        (every(Duration::ZERO), "interval"),
        (every(Duration::from_millis(999)), "interval"),
        (every(Duration::MAX), "interval"),
        (
            Timing::Every { interval: Duration::from_secs(60), anchor_unix_micros: u64::MAX },
            "anchor_unix_micros",
        ),
        (Timing::Once { at_unix_micros: u64::MAX }, "at_unix_micros"),
        (ago(harness, Duration::from_secs(2 * 3_600)), "at_unix_micros"),
    ];
    for (timing, field) in refused {
        let put = store.schedules.put(PutSchedule::new(schedule("a", timing.clone()))).await;
        let error = assert_kind(put, ErrorKind::InvalidInput);
        assert_eq!(error.context("field"), Some(field), "{timing:?}");
    }
    for most in [0, 101] {
        let put = schedule("a", hourly()).with_missed(MissedRuns::CatchUp { most });
        let error = assert_kind(store.schedules.put(PutSchedule::new(put)).await, ErrorKind::InvalidInput);
        assert_eq!(error.context("field"), Some("missed"));
    }
    assert_eq!(store.schedules.get(&key("a")).await.expect("it is read"), None);
}

/// A job that the queue would not take is refused before its time comes.
pub async fn a_job_that_the_queue_would_refuse_is_refused(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let mut large = schedule("a", hourly());
    large.job.payload = vec![0; store.jobs.capabilities().limits.payload_bytes + 1].into();
    assert_kind(store.schedules.put(PutSchedule::new(large)).await, ErrorKind::TooLarge);
    let mut never = schedule("a", hourly());
    never.job.retry.max_attempts = 0;
    assert_kind(store.schedules.put(PutSchedule::new(never)).await, ErrorKind::InvalidInput);
}

/// Who expects another version than there is changes nothing and learns which one there is.
pub async fn another_version_than_expected_is_a_conflict(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let put =
        |expected, timing| store.schedules.put(PutSchedule::new(schedule("a", timing)).expecting(expected));
    assert_kind(put(Expected::Revision(Revision(1)), hourly()).await, ErrorKind::Conflict);
    let first = put(Expected::Absent, hourly()).await.expect("there was none");
    let error = assert_kind(put(Expected::Absent, on("orders")).await, ErrorKind::Conflict);
    assert_eq!(error.context("revision"), Some(first.revision.0.to_string().as_str()));
    let second = put(Expected::Revision(first.revision), on("orders")).await.expect("it is that version");
    assert!(second.revision > first.revision);
    assert_kind(put(Expected::Revision(first.revision), hourly()).await, ErrorKind::Conflict);
    assert_eq!(store.get("a").await, second);
    assert_kind(store.schedules.delete(&key("a"), Some(first.revision)).await, ErrorKind::Conflict);
    assert!(store.schedules.delete(&key("a"), Some(second.revision)).await.expect("it is that version"));
}

/// Storing what is there, as each start of a host does, changes neither version nor time.
pub async fn the_same_again_changes_nothing(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let first = store.put(schedule("a", every_second(harness))).await;
    harness.pass(Duration::from_millis(1_100)).await;
    assert_eq!(store.put(first.schedule.clone()).await, first);
    assert_eq!(store.tick().await.fired.len(), 1);
    let fired = store.get("a").await;
    assert_eq!(store.put(first.schedule.clone()).await, fired);
}

/// A new timing has its first time after now; with the same timing the next time stays, though all else changes.
pub async fn another_timing_counts_from_now_and_another_job_keeps_the_time(
    harness: &dyn ScheduleStoreHarness,
) {
    let store = harness.start().await;
    let first = store.put(schedule("a", ago(harness, Duration::from_secs(5)))).await;
    let mut edited = first.schedule.clone();
    edited.job = template("other");
    let second = store.put(edited).await;
    assert_eq!((second.next_run_at, second.revision > first.revision), (first.next_run_at, true));
    let third = store.put(schedule("a", hourly())).await;
    let next = third.next_run_at.expect("it runs each hour");
    assert!(next > harness.unix_micros() - SLACK && next % 3_600_000_000 == 0, "{next}");
    assert_eq!(store.tick().await.fired, []);
}

/// No version and no epoch comes again, though the schedule is deleted and made anew.
pub async fn revisions_and_epochs_ascend_through_a_deletion(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let (mut revision, mut epoch) = (Revision(0), Default::default());
    for _ in 0..3 {
        let put = store.put(schedule("a", ago(harness, Duration::ZERO))).await;
        assert!(put.revision > revision);
        let tick = store.tick().await;
        let [fired] = &tick.fired[..] else { panic!("it is due: {tick:?}") };
        assert!(fired.epoch > epoch);
        assert_eq!(store.get("a").await.epoch, fired.epoch);
        (revision, epoch) = (put.revision, fired.epoch);
        assert!(store.schedules.delete(&key("a"), None).await.expect("it is deleted"));
        assert!(!store.schedules.delete(&key("a"), None).await.expect("it is gone"));
    }
}

/// Of several that want to be the first, one is; where that does not matter, each succeeds.
pub async fn of_many_that_make_one_schedule_one_does(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    for (expected, made) in [(Expected::Absent, 1), (Expected::Any, 8)] {
        let name = format!("{expected:?}");
        let mut tasks = Vec::new();
        for _ in 0..8 {
            let request = PutSchedule::new(schedule(&name, hourly())).expecting(expected);
            let store = store.schedules.clone();
            tasks.push(tokio::spawn(async move { store.put(request).await }));
        }
        let mut revisions = BTreeSet::new();
        let mut answers = 0;
        for task in tasks {
            match task.await.expect("it ends") {
                Ok(info) => {
                    answers += 1;
                    revisions.insert(info.revision);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
        assert_eq!((answers, revisions.len()), (made, 1));
    }
}
