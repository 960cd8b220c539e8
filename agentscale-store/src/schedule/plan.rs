//! What one transaction does to the schedules that are due, or that events are for.

use std::collections::BTreeMap;

use agentscale_core::Result;
use agentscale_core::jobs::{Enqueued, Job, JobId, JobLimits};
use agentscale_core::schedule::{
    Epoch, ExecutionOutcome, Fired, LOOK_BACK, MAX_TRIGGERED, Overlap, ScheduleEvent, ScheduleKey, fire,
    is_late,
};

use super::calendar::Calendar;
use super::names::{job_id, millis_of, unique};
use super::record::{Record, check};

const MICROS_PER_MILLI: u64 = 1_000;

/// Jobs to be enqueued, and whose they are.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    changes: BTreeMap<i64, Change>,
    runs: Vec<Run>,
    jobs: Vec<Job>,
}

#[derive(Debug)]
struct Run {
    schedule: i64,
    job: JobId,
    at: u64,
    is_late: bool,
    event: Option<usize>,
}

/// What becomes of the row of a schedule.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) id: i64,
    /// The epoch that was read.
    pub(crate) was: Epoch,
    pub(crate) fired: Fired,
    /// The first of the times that it was about.
    due: u64,
    pub(crate) next_run_at: Option<u64>,
    pub(crate) last_fired_at: Option<u64>,
}

/// A line of history.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) key: ScheduleKey,
    pub(crate) epoch: Epoch,
    pub(crate) run_at: u64,
    pub(crate) outcome: ExecutionOutcome,
    pub(crate) missed: u64,
}

/// A plan whose jobs were enqueued.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) changes: Vec<Change>,
    pub(crate) lines: Vec<Line>,
    /// The jobs of each event.
    pub(crate) events: Vec<Vec<JobId>>,
}

impl Plan {
    /// Adds a schedule that is due at `now`. One that cannot be reckoned, or whose job the queue would refuse, waits for an
    /// hour, so that it is in nobody's way.
    pub(crate) fn fire(&mut self, record: &Record, epoch: Epoch, limits: &JobLimits, now: u64) {
        let info = &record.info;
        let Some(due) = info.next_run_at else { return };
        let mut change = Change::new(record, epoch);
        let firing = check(&info.schedule, limits, now)
            .and_then(|()| Calendar::new(&info.schedule.timing))
            .and_then(|calendar| fire(due, now, info.schedule.missed, |after| calendar.next_after(after)));
        match firing {
            Ok(firing) => {
                change.next_run_at = firing.next_run_at;
                change.last_fired_at = firing.runs.last().copied().or(info.last_fired_at);
                change.fired.counts.missed = firing.missed;
                for at in firing.runs {
                    let job = job_id(record, at / MICROS_PER_MILLI, &at.to_be_bytes());
                    let run = Run { schedule: record.id, job, at, is_late: is_late(at, now), event: None };
                    self.add(record, run, None);
                }
            }
            Err(error) => {
                tracing::warn!(schedule = %info.schedule.key, %error, "a schedule cannot run");
                change.next_run_at = Some(set_aside(now));
            }
        }
        self.changes.insert(record.id, change);
    }

    /// Adds an event that a schedule waits for.
    pub(crate) fn trigger(
        &mut self,
        record: &Record,
        epoch: Epoch,
        number: usize,
        event: &ScheduleEvent,
        now: u64,
    ) {
        let content = [event.id.as_bytes().as_slice(), blake3::hash(&event.payload).as_bytes()].concat();
        let run = Run {
            schedule: record.id,
            job: job_id(record, millis_of(event.id), &content),
            at: now,
            is_late: false,
            event: Some(number),
        };
        let change = self.changes.entry(record.id).or_insert_with(|| Change::new(record, epoch));
        change.last_fired_at = Some(now);
        self.add(record, run, Some(event));
    }

    /// Whether no event can be added any more.
    pub(crate) fn is_full(&self) -> bool {
        self.jobs.len() > MAX_TRIGGERED
    }

    /// # Errors
    /// `too_large` for more jobs than events may have at once, and for a body that the queue would refuse.
    pub(crate) fn check_triggered(&self, limits: &JobLimits) -> Result<()> {
        let mut limits = *limits;
        limits.batch = MAX_TRIGGERED;
        limits.check(&self.jobs)
    }

    /// What is to be enqueued.
    pub(crate) fn jobs(&mut self) -> Vec<Job> {
        std::mem::take(&mut self.jobs)
    }

    /// What the enqueued jobs come to; they stand in the order of [`jobs`](Self::jobs).
    pub(crate) fn settle(mut self, enqueued: &[Enqueued], events: usize) -> Settled {
        let mut settled =
            Settled { changes: Vec::new(), lines: Vec::new(), events: vec![Vec::new(); events] };
        for change in self.changes.values().filter(|change| change.fired.counts.missed > 0) {
            let missed = change.fired.counts.missed;
            settled.lines.push(Line { missed, ..change.line(change.due, ExecutionOutcome::Missed) });
        }
        for (run, enqueued) in self.runs.iter().zip(enqueued) {
            let Some(change) = self.changes.get_mut(&run.schedule) else { continue };
            if let Some(jobs) = run.event.and_then(|number| settled.events.get_mut(number)) {
                jobs.push(enqueued.id());
            }
            if let Some(outcome) = change.settle(run, enqueued) {
                settled.lines.push(change.line(run.at, outcome));
            }
        }
        settled.changes = self.changes.into_values().collect();
        settled
    }

    fn add(&mut self, record: &Record, run: Run, event: Option<&ScheduleEvent>) {
        let schedule = &record.info.schedule;
        let mut job = schedule.job.job(run.job, schedule.key.tenant.clone());
        if let Some(event) = event {
            job.trace = event.trace.clone();
            if job.payload.is_empty() {
                job.payload = event.payload.clone();
            }
        }
        if schedule.overlap == Overlap::Skip {
            job.unique = unique(&schedule.key);
        }
        self.runs.push(run);
        self.jobs.push(job);
    }
}

impl Change {
    fn new(record: &Record, epoch: Epoch) -> Self {
        let info = &record.info;
        Self {
            id: record.id,
            was: info.epoch,
            fired: Fired::new(info.schedule.key.clone(), epoch),
            due: info.next_run_at.unwrap_or_default(),
            next_run_at: info.next_run_at,
            last_fired_at: info.last_fired_at,
        }
    }

    /// What has become of a run; nothing where its job was there before.
    fn settle(&mut self, run: &Run, enqueued: &Enqueued) -> Option<ExecutionOutcome> {
        let counts = &mut self.fired.counts;
        if enqueued.is_added() {
            counts.fired += 1;
            counts.late += u64::from(run.is_late);
            self.fired.jobs.push(run.job);
            Some(ExecutionOutcome::Enqueued(run.job))
        } else if enqueued.id() == run.job {
            None
        } else {
            counts.overlapped += 1;
            Some(ExecutionOutcome::Overlapped(enqueued.id()))
        }
    }

    fn line(&self, run_at: u64, outcome: ExecutionOutcome) -> Line {
        Line { key: self.fired.key.clone(), epoch: self.fired.epoch, run_at, outcome, missed: 0 }
    }
}

/// When a schedule that cannot be read is looked at again.
pub(crate) fn set_aside(now: u64) -> u64 {
    now.saturating_add(u64::try_from(LOOK_BACK.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
