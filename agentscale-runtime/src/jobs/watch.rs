//! What a worker records and tells.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::jobs::{ClaimedJob, JobState, QueueName, RunOutcome};
use agentscale_core::metrics::{Counter, Gauge, Histogram, Metric, Metrics};
use agentscale_core::observe::{Observation, ObservationLevel, Observer};
use agentscale_core::time::SystemClock;
use agentscale_core::{Clock, ErrorKind, HybridClock, Result};

const RUNS: Metric =
    Metric::new("agentscale_job_runs_total", "Runs of jobs that ended, by queue and by what became of them.");
const RUNNING: Metric = Metric::new("agentscale_jobs_running", "Jobs that run in this process, by queue.");
const RUN_TIME: Metric =
    Metric::new("agentscale_job_run_seconds", "Time of a run in its handler, by queue.").in_seconds();
const WAIT: Metric = Metric::new(
    "agentscale_job_wait_seconds",
    "Time of a job from its enqueue to the begin of its first run, by queue.",
)
.in_seconds();

/// What became of a run, as its metric's label has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Became {
    Completed,
    Retried,
    Snoozed,
    Cancelled,
    Dead,
    Lost,
}

impl Became {
    const ALL: [Self; 6] =
        [Self::Completed, Self::Retried, Self::Snoozed, Self::Cancelled, Self::Dead, Self::Lost];

    pub(super) fn of(outcome: &RunOutcome, state: JobState) -> Self {
        match (state, outcome) {
            (JobState::Completed, _) => Self::Completed,
            (JobState::Cancelled, _) => Self::Cancelled,
            (JobState::Dead, _) => Self::Dead,
            (_, RunOutcome::Snooze(_)) => Self::Snoozed,
            _ => Self::Retried,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Retried => "retried",
            Self::Snoozed => "snoozed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
            Self::Lost => "lost",
        }
    }
}

#[derive(Debug)]
struct Meters {
    runs: [Counter; Became::ALL.len()],
    running: Gauge,
    run_time: Histogram,
    wait: Histogram,
}

#[derive(Debug)]
pub(super) struct Watch {
    meters: HashMap<QueueName, Meters>,
    observer: Option<Arc<dyn Observer>>,
    clock: SystemClock,
    stamps: HybridClock,
}

impl Watch {
    pub(super) fn new(
        metrics: &Metrics,
        observer: Option<Arc<dyn Observer>>,
        queues: &[QueueName],
    ) -> Result<Self> {
        let meters = queues.iter().map(|queue| Ok((queue.clone(), Meters::new(metrics, queue)?)));
        let stamps = HybridClock::new(fastrand::u64(..));
        Ok(Self { meters: meters.collect::<Result<_>>()?, observer, clock: SystemClock::new(), stamps })
    }

    pub(super) fn began(&self, claimed: &ClaimedJob) {
        let Some(meters) = self.meters.get(&claimed.job.queue) else { return };
        meters.running.add(1);
        if claimed.attempt == 1 {
            let waited = self.clock.unix_micros().saturating_sub(claimed.enqueued_unix_micros);
            meters.wait.record_duration(Duration::from_micros(waited));
        }
    }

    pub(super) fn ran(&self, claimed: &ClaimedJob, time: Duration) {
        if let Some(meters) = self.meters.get(&claimed.job.queue) {
            meters.running.add(-1);
            meters.run_time.record_duration(time);
        }
    }

    pub(super) fn ended(&self, claimed: &ClaimedJob, became: Became, kind: Option<ErrorKind>) {
        if let Some(meters) = self.meters.get(&claimed.job.queue) {
            meters.runs[became as usize].increment();
        }
        let (level, name) = match became {
            Became::Completed => (ObservationLevel::Info, "job.completed"),
            Became::Cancelled => (ObservationLevel::Info, "job.cancelled"),
            Became::Snoozed => (ObservationLevel::Debug, "job.snoozed"),
            Became::Retried => (ObservationLevel::Warning, "job.failed"),
            Became::Lost => (ObservationLevel::Warning, "job.lost"),
            Became::Dead => (ObservationLevel::Error, "job.dead"),
        };
        let Some(observer) = &self.observer else { return };
        let job = &claimed.job;
        let mut observation = Observation::new(level, name, self.stamps.stamp(self.clock.unix_micros()))
            .with_tenant(job.tenant.clone())
            .with_field("job", job.id.to_string())
            .with_field("queue", job.queue.as_str())
            .with_field("job_kind", job.kind.as_str())
            .with_field("attempt", u64::from(claimed.attempt));
        if let Some(kind) = kind {
            observation = observation.with_field("kind", kind.as_str());
        }
        observer.emit(observation);
    }
}

impl Meters {
    fn new(metrics: &Metrics, queue: &QueueName) -> Result<Self> {
        let queue = queue.as_str();
        let mut runs: [Counter; Became::ALL.len()] = Default::default();
        for became in Became::ALL {
            let labels = [("queue", queue), ("became", became.as_str())];
            runs[became as usize] = metrics.counter(&RUNS, &labels)?;
        }
        let labels = [("queue", queue)];
        Ok(Self {
            runs,
            running: metrics.gauge(&RUNNING, &labels)?,
            run_time: metrics.histogram(&RUN_TIME, &labels)?,
            wait: metrics.histogram(&WAIT, &labels)?,
        })
    }
}
