use agentscale_core::jobs::{
    ClaimJobs, ClaimedJob, Enqueued, Finish, Heartbeat, HeartbeatAnswer, Job, JobId, JobState, Maintained,
};
use agentscale_core::{Error, Result, Tenant};
use tokio::sync::oneshot;

#[cfg(feature = "schedules")]
use crate::sqlite::schedules::ScheduleOp;

/// Where an answer goes. Whoever does not listen any more misses it.
#[derive(Debug)]
pub(super) struct Answer<T>(pub(super) oneshot::Sender<Result<T>>);

impl<T> Answer<T> {
    pub(super) fn give(self, answer: Result<T>) {
        let _ = self.0.send(answer);
    }
}

/// One operation of the writer.
#[derive(Debug)]
pub(super) enum Op {
    Enqueue(Vec<Job>, Answer<Vec<Enqueued>>),
    Finish(Vec<Finish>, Answer<Vec<Result<JobState>>>),
    Heartbeat(Heartbeat, Answer<HeartbeatAnswer>),
    Claim(ClaimJobs, Answer<Vec<ClaimedJob>>),
    Cancel(Tenant, JobId, Answer<JobState>),
    Redrive(Tenant, Vec<JobId>, Answer<Vec<JobId>>),
    Discard(Tenant, Vec<JobId>, Answer<Vec<JobId>>),
    Maintain(usize, Answer<Maintained>),
    TakeBack(Answer<bool>),
    #[cfg(feature = "schedules")]
    Schedule(ScheduleOp),
}

impl Op {
    /// Whether its loss is no loss: a renewal that is forgotten ends a claim early.
    pub(super) fn is_soft(&self) -> bool {
        match self {
            Self::Heartbeat(..) | Self::Maintain(..) | Self::TakeBack(..) => true,
            #[cfg(feature = "schedules")]
            Self::Schedule(op) => op.is_soft(),
            _ => false,
        }
    }

    pub(super) fn fail(self, error: Error) {
        match self {
            Self::Enqueue(_, answer) => answer.give(Err(error)),
            Self::Finish(_, answer) => answer.give(Err(error)),
            Self::Heartbeat(_, answer) => answer.give(Err(error)),
            Self::Claim(_, answer) => answer.give(Err(error)),
            Self::Cancel(.., answer) => answer.give(Err(error)),
            Self::Redrive(.., answer) | Self::Discard(.., answer) => answer.give(Err(error)),
            Self::Maintain(_, answer) => answer.give(Err(error)),
            Self::TakeBack(answer) => answer.give(Err(error)),
            #[cfg(feature = "schedules")]
            Self::Schedule(op) => op.answer(Err(error)),
        }
    }
}
