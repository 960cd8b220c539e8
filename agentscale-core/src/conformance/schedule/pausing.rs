//! Schedules that stand still.

use std::time::Duration;

use super::ScheduleStoreHarness;
use super::scene::{SECOND, assert_kind, every_second, hourly, key, schedule, template};
use crate::ErrorKind;

/// While it is paused nothing fires, also where it is stored anew; what passed meanwhile is not missed.
pub async fn a_paused_schedule_stands_still_and_goes_on_after_now(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    let first = store.put(schedule("a", every_second(harness))).await;
    let paused = store.schedules.pause(&key("a")).await.expect("it is there");
    assert_eq!((paused.is_paused, paused.next_run_at), (true, None));
    assert!(paused.revision > first.revision);
    harness.pass(Duration::from_millis(2_200)).await;
    let mut edited = first.schedule.clone();
    edited.job = template("other");
    let edited = store.put(edited).await;
    assert_eq!((edited.is_paused, edited.next_run_at), (true, None));
    assert_eq!(store.schedules.pause(&key("a")).await.expect("it is there"), edited);
    assert_eq!(store.tick().await.fired, []);
    let resumed = store.schedules.resume(&key("a")).await.expect("it is there");
    assert!(!resumed.is_paused && resumed.next_run_at > Some(harness.unix_micros() - 900_000), "{resumed:?}");
    assert_eq!(store.schedules.resume(&key("a")).await.expect("it is there"), resumed);
    harness.pass(SECOND).await;
    assert_eq!(store.tick().await.fired[0].counts.fired, 1);
}

/// What does not exist is `not_found`.
pub async fn what_is_not_there_is_neither_paused_nor_resumed(harness: &dyn ScheduleStoreHarness) {
    let store = harness.start().await;
    store.put(schedule("a", hourly())).await;
    assert_kind(store.schedules.pause(&key("b")).await, ErrorKind::NotFound);
    assert_kind(store.schedules.resume(&key("b")).await, ErrorKind::NotFound);
}
