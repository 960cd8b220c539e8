use std::time::Duration;

use super::{ScheduleStoreHarness, Scheduled};
use crate::jobs::{ClaimJobs, ClaimedJob, WorkerId};
use crate::schedule::{
    JobTemplate, PutSchedule, Schedule, ScheduleEvent, ScheduleInfo, ScheduleKey, Tick, Timing,
};
use crate::{Error, ErrorKind, Result, Tenant};

pub(super) const SECOND: Duration = Duration::from_secs(1);
/// What the clocks of the store and of the test may lie apart.
pub(super) const SLACK: u64 = 500_000;

pub(super) fn acme() -> Tenant {
    tenant("acme")
}

pub(super) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("a name")
}

pub(super) fn key(name: &str) -> ScheduleKey {
    ScheduleKey::new(&acme(), name).expect("a name")
}

pub(super) fn template(payload: &str) -> JobTemplate {
    JobTemplate::new(
        "mail".try_into().expect("a name"),
        "digest".try_into().expect("a name"),
        payload.to_owned(),
    )
}

pub(super) fn schedule(name: &str, timing: Timing) -> Schedule {
    Schedule::new(key(name), timing, template("{}"))
}

/// Once, so long ago, by the clock of the store.
pub(super) fn ago(harness: &dyn ScheduleStoreHarness, time: Duration) -> Timing {
    let time = u64::try_from(time.as_micros()).expect("it is short");
    Timing::Once { at_unix_micros: harness.unix_micros() - time }
}

pub(super) fn hourly() -> Timing {
    Timing::cron("0 * * * *", "UTC")
}

/// Every second from now on.
pub(super) fn every_second(harness: &dyn ScheduleStoreHarness) -> Timing {
    Timing::Every { interval: SECOND, anchor_unix_micros: harness.unix_micros() }
}

pub(super) fn on(topic: &str) -> Timing {
    Timing::Event { topic: topic.try_into().expect("a name") }
}

pub(super) fn event(id: u128, topic: &str, payload: &str) -> ScheduleEvent {
    let topic = topic.try_into().expect("a name");
    ScheduleEvent::new(uuid::Uuid::from_u128(id), acme(), topic, payload.to_owned())
}

impl Scheduled {
    pub(super) async fn put(&self, schedule: Schedule) -> ScheduleInfo {
        self.schedules.put(PutSchedule::new(schedule)).await.expect("it is stored")
    }

    pub(super) async fn get(&self, name: &str) -> ScheduleInfo {
        self.schedules.get(&key(name)).await.expect("it is read").expect("it is there")
    }

    pub(super) async fn tick(&self) -> Tick {
        self.schedules.tick(100).await.expect("it ticks")
    }

    /// All jobs that are ready.
    pub(super) async fn claim(&self) -> Vec<ClaimedJob> {
        let queue = "mail".try_into().expect("a name");
        self.jobs.claim(ClaimJobs::new(WorkerId::new(0), queue, 1_000)).await.expect("they are claimed")
    }
}

pub(super) fn assert_kind<T: std::fmt::Debug>(answer: Result<T>, kind: ErrorKind) -> Error {
    let error = answer.expect_err("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    error
}
