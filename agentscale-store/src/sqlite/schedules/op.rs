use agentscale_core::jobs::{JobId, Maintained};
use agentscale_core::schedule::{PutSchedule, Revision, ScheduleEvent, ScheduleInfo, ScheduleKey, Tick};
use agentscale_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

type Answer<T> = oneshot::Sender<Result<T>>;

/// What the writer of the queue does to schedules.
#[derive(Debug)]
pub(crate) enum ScheduleOp {
    Put(Box<PutSchedule>, Answer<ScheduleInfo>),
    Pause(ScheduleKey, Answer<ScheduleInfo>),
    Resume(ScheduleKey, Answer<ScheduleInfo>),
    Delete(ScheduleKey, Option<Revision>, Answer<bool>),
    Tick(usize, Answer<Tick>),
    Trigger(Vec<ScheduleEvent>, Answer<Vec<Vec<JobId>>>),
    /// Lines that are older than a time, so many at most.
    Maintain {
        before: u64,
        limit: usize,
        answer: Answer<Maintained>,
    },
}

/// The answer to it.
#[derive(Debug)]
pub(crate) enum ScheduleReply {
    Info(Box<ScheduleInfo>),
    Deleted(bool),
    Tick(Tick),
    Triggered(Vec<Vec<JobId>>),
    Maintained(Maintained),
}

impl ScheduleOp {
    /// Whether its loss is no loss.
    pub(crate) fn is_soft(&self) -> bool {
        matches!(self, Self::Maintain { .. })
    }

    pub(crate) fn answer(self, reply: Result<ScheduleReply>) {
        match (self, reply) {
            (Self::Put(_, answer) | Self::Pause(_, answer) | Self::Resume(_, answer), reply) => {
                give(answer, reply, |reply| match reply {
                    ScheduleReply::Info(info) => Some(*info),
                    _ => None,
                });
            }
            (Self::Delete(.., answer), reply) => give(answer, reply, |reply| match reply {
                ScheduleReply::Deleted(deleted) => Some(deleted),
                _ => None,
            }),
            (Self::Tick(_, answer), reply) => give(answer, reply, |reply| match reply {
                ScheduleReply::Tick(tick) => Some(tick),
                _ => None,
            }),
            (Self::Trigger(_, answer), reply) => give(answer, reply, |reply| match reply {
                ScheduleReply::Triggered(jobs) => Some(jobs),
                _ => None,
            }),
            (Self::Maintain { answer, .. }, reply) => give(answer, reply, |reply| match reply {
                ScheduleReply::Maintained(done) => Some(done),
                _ => None,
            }),
        }
    }
}

impl ScheduleReply {
    pub(super) fn info(info: ScheduleInfo) -> Self {
        Self::Info(Box::new(info))
    }

    /// Whether there may be more to claim than before.
    pub(crate) fn makes_ready(&self) -> bool {
        match self {
            Self::Tick(tick) => tick.fired.iter().any(|fired| !fired.jobs.is_empty()),
            Self::Triggered(jobs) => jobs.iter().any(|jobs| !jobs.is_empty()),
            _ => false,
        }
    }
}

/// Whoever does not listen any more misses its answer.
fn give<T>(answer: Answer<T>, reply: Result<ScheduleReply>, take: impl FnOnce(ScheduleReply) -> Option<T>) {
    let unexpected = || Error::new(ErrorKind::Internal, "answer schedules");
    let _ = answer.send(reply.and_then(|reply| take(reply).ok_or_else(unexpected)));
}
