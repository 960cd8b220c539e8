use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Epoch, HistoryCursor, Revision, Schedule, ScheduleKey, ScheduleName};
use crate::jobs::JobId;

/// A schedule as it stands. Times are microseconds since 1970 by the store's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleInfo {
    /// The schedule.
    pub schedule: Schedule,
    /// The version of it.
    pub revision: Revision,
    /// Raised by each firing.
    pub epoch: Epoch,
    /// Whether it stands still.
    pub is_paused: bool,
    /// Its next time; none where it is paused, has ended or waits for events.
    pub next_run_at: Option<u64>,
    /// The time for which it last enqueued a job.
    pub last_fired_at: Option<u64>,
    /// What became of its times.
    pub counts: RunCounts,
}

impl ScheduleInfo {
    /// A schedule that has not run.
    pub fn new(schedule: Schedule, revision: Revision, epoch: Epoch) -> Self {
        Self {
            schedule,
            revision,
            epoch,
            is_paused: false,
            next_run_at: None,
            last_fired_at: None,
            counts: RunCounts::default(),
        }
    }
}

/// What became of the times of a schedule, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RunCounts {
    /// Jobs that were enqueued.
    pub fired: u64,
    /// How many of them more than a minute after their time.
    pub late: u64,
    /// Times that passed without a job.
    pub missed: u64,
    /// Runs that were left out because the job of an earlier one had not ended.
    pub overlapped: u64,
}

impl RunCounts {
    /// Adds what others have counted.
    pub fn add(&mut self, others: Self) {
        self.fired += others.fired;
        self.late += others.late;
        self.missed += others.missed;
        self.overlapped += others.overlapped;
    }
}

/// Some of the schedules of a tenant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SchedulePage {
    /// The schedules.
    pub schedules: Vec<ScheduleInfo>,
    /// Where to go on; `None` behind the last one.
    pub next: Option<ScheduleName>,
}

impl SchedulePage {
    /// A page.
    pub fn new(schedules: Vec<ScheduleInfo>, next: Option<ScheduleName>) -> Self {
        Self { schedules, next }
    }
}

/// What one tick has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// The schedules that were due.
    pub fired: Vec<Fired>,
    /// Whether more may be due.
    pub more: bool,
    /// After what time the next one is due, as far as it is known now; none where there is none.
    pub next_due_in: Option<Duration>,
}

impl Tick {
    /// An answer.
    pub fn new(fired: Vec<Fired>, more: bool, next_due_in: Option<Duration>) -> Self {
        Self { fired, more, next_due_in }
    }
}

/// What a schedule did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fired {
    /// The schedule.
    pub key: ScheduleKey,
    /// The firing.
    pub epoch: Epoch,
    /// The jobs that were enqueued.
    pub jobs: Vec<JobId>,
    /// What is to be added to its counts.
    pub counts: RunCounts,
}

impl Fired {
    /// A firing without jobs.
    pub fn new(key: ScheduleKey, epoch: Epoch) -> Self {
        Self { key, epoch, jobs: Vec::new(), counts: RunCounts::default() }
    }
}

/// One line of the history of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Execution {
    /// Its place.
    pub cursor: HistoryCursor,
    /// The firing that it belongs to.
    pub epoch: Epoch,
    /// The time that it was for; that of an event is when it came.
    pub run_at: u64,
    /// When it was carried out.
    pub fired_at: u64,
    /// What became of it.
    pub outcome: ExecutionOutcome,
    /// Times that passed without a job, of the whole firing.
    pub missed: u64,
}

impl Execution {
    /// A line.
    pub fn new(
        cursor: HistoryCursor,
        epoch: Epoch,
        run_at: u64,
        fired_at: u64,
        outcome: ExecutionOutcome,
    ) -> Self {
        Self { cursor, epoch, run_at, fired_at, outcome, missed: 0 }
    }
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExecutionOutcome {
    /// This job was enqueued.
    Enqueued(JobId),
    /// This job of an earlier run had not ended.
    Overlapped(JobId),
    /// The times that passed were too long ago.
    Missed,
}
