use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::Durability;
use agentscale_core::jobs::{
    ClaimedJob, Enqueued, Finish, HeartbeatAnswer, Job, JobId, JobLimits, JobState, Maintained,
};
use agentscale_core::time::Monotonic;
use agentscale_core::{Clock, Error, ErrorKind, Result};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::Notify;

use super::claim::{self, Shares};
use super::op::Op;
use super::{end, enqueue, rare};
#[cfg(feature = "schedules")]
use crate::sqlite::schedules::{self, ScheduleReply};
use crate::sqlite::{Batch, map_error};

/// A wall clock that is so much behind the monotonic one was set back.
const STEP: Duration = Duration::from_secs(1);

/// Writes batches of operations, one transaction each.
#[derive(Debug)]
pub(super) struct JobWriter {
    connection: SqliteConnection,
    clock: Arc<dyn Clock>,
    read: (Monotonic, u64),
    limits: JobLimits,
    level: Durability,
    syncs: bool,
    shares: Shares,
    ready: Arc<Notify>,
}

/// The answer to an operation.
#[derive(Debug)]
enum Reply {
    Enqueued(Vec<Enqueued>),
    Finished(Vec<Result<JobState>>),
    Heard(HeartbeatAnswer),
    Claimed(Vec<ClaimedJob>),
    State(JobState),
    Ids(Vec<JobId>),
    Maintained(Maintained),
    TakenBack(bool),
    #[cfg(feature = "schedules")]
    Scheduled(ScheduleReply),
}

impl JobWriter {
    pub(super) async fn start(
        mut connection: SqliteConnection,
        clock: Arc<dyn Clock>,
        limits: JobLimits,
        level: Durability,
        ready: Arc<Notify>,
    ) -> Result<Self> {
        let read = (clock.now(), clock.unix_micros());
        rare::shorten(&mut connection, read.1).await?;
        Ok(Self { connection, clock, read, limits, level, syncs: false, shares: Shares::new(), ready })
    }

    /// Answers each operation in its place.
    async fn transact(&mut self, ops: &[Op]) -> Result<Vec<Result<Reply>>> {
        self.begin(self.level == Durability::Disk && !ops.iter().all(Op::is_soft)).await?;
        // Read within the transaction: what was written before it was written earlier.
        let now = self.now().await?;
        let mut replies: Vec<Option<Result<Reply>>> = ops.iter().map(|_| None).collect();
        self.finish(ops, &mut replies, now).await?;
        self.enqueue(ops, &mut replies, now).await?;
        if ops.iter().any(|op| matches!(op, Op::Claim(..) | Op::TakeBack(..))) {
            let taken_back = claim::take_back(&mut self.connection, now).await?;
            for (op, reply) in ops.iter().zip(&mut replies) {
                if matches!(op, Op::TakeBack(..)) {
                    *reply = Some(Ok(Reply::TakenBack(taken_back)));
                }
            }
        }
        let mut answers = Vec::with_capacity(ops.len());
        for (op, reply) in ops.iter().zip(replies) {
            answers.push(match reply {
                Some(reply) => reply,
                None => self.apply_one(op, now).await?,
            });
        }
        self.connection.execute("COMMIT").await.map_err(map_error("commit jobs"))?;
        Ok(answers)
    }

    async fn begin(&mut self, syncs: bool) -> Result<()> {
        if self.syncs != syncs {
            // SQLite applies this pragma when it is compiled, and refuses it within a transaction.
            let pragma = if syncs { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            sqlx::raw_sql(pragma).execute(&mut self.connection).await.map_err(map_error("begin jobs"))?;
            self.syncs = syncs;
        }
        self.connection.execute("BEGIN IMMEDIATE").await.map_err(map_error("begin jobs"))?;
        Ok(())
    }

    async fn now(&mut self) -> Result<u64> {
        let (monotonic, wall) = self.read;
        self.read = (self.clock.now(), self.clock.unix_micros());
        let passed = self.read.0.since(monotonic) + Duration::from_micros(wall);
        if passed > Duration::from_micros(self.read.1) + STEP {
            rare::shorten(&mut self.connection, self.read.1).await?;
        }
        Ok(self.read.1)
    }

    /// Ends what all operations of the batch end, by few statements.
    async fn finish(&mut self, ops: &[Op], replies: &mut [Option<Result<Reply>>], now: u64) -> Result<()> {
        let finishes: Vec<Finish> = ops.iter().filter_map(Op::finishes).flatten().cloned().collect();
        if finishes.is_empty() {
            return Ok(());
        }
        let mut answers = end::finish(&mut self.connection, finishes, now).await?.into_iter();
        for (op, reply) in ops.iter().zip(replies) {
            if let Some(finishes) = op.finishes() {
                *reply = Some(Ok(Reply::Finished(answers.by_ref().take(finishes.len()).collect())));
            }
        }
        Ok(())
    }

    /// Adds what all operations of the batch add, by few statements.
    async fn enqueue(&mut self, ops: &[Op], replies: &mut [Option<Result<Reply>>], now: u64) -> Result<()> {
        let lists: Vec<&[Job]> = ops.iter().filter_map(Op::jobs).collect();
        if lists.is_empty() {
            return Ok(());
        }
        let mut answers = enqueue::add(&mut self.connection, &lists, now).await?.into_iter();
        for (_, reply) in ops.iter().zip(replies).filter(|(op, _)| op.jobs().is_some()) {
            *reply = answers.next().map(|answer| answer.map(Reply::Enqueued));
        }
        Ok(())
    }

    /// The outer error ends the transaction; the inner one is this operation's own.
    async fn apply_one(&mut self, op: &Op, now: u64) -> Result<Result<Reply>> {
        let connection = &mut self.connection;
        match op {
            Op::Heartbeat(heartbeat, _) => {
                rare::heartbeat(connection, heartbeat, now).await.map(Reply::Heard).map(Ok)
            }
            Op::Claim(request, _) => {
                let claimed =
                    claim::claim(connection, request, self.limits.batch, &mut self.shares, now).await?;
                Ok(Ok(Reply::Claimed(claimed)))
            }
            Op::Cancel(tenant, id, _) => {
                Ok(rare::cancel(connection, tenant, *id, now).await?.map(Reply::State))
            }
            Op::Redrive(tenant, ids, _) => {
                rare::redrive(connection, tenant, ids).await.map(Reply::Ids).map(Ok)
            }
            Op::Discard(tenant, ids, _) => {
                rare::discard(connection, tenant, ids).await.map(Reply::Ids).map(Ok)
            }
            Op::Maintain(most, _) => {
                rare::maintain(connection, *most, now).await.map(Reply::Maintained).map(Ok)
            }
            Op::Finish(finishes, _) if finishes.is_empty() => Ok(Ok(Reply::Finished(Vec::new()))),
            #[cfg(feature = "schedules")]
            Op::Schedule(op) => {
                let applied = schedules::apply(connection, op, &self.limits, now).await?;
                Ok(applied.map(Reply::Scheduled))
            }
            Op::Enqueue(..) | Op::Finish(..) | Op::TakeBack(..) => Err(unexpected()),
        }
    }
}

impl Op {
    fn finishes(&self) -> Option<&[Finish]> {
        match self {
            Self::Finish(finishes, _) => Some(finishes),
            _ => None,
        }
    }

    fn jobs(&self) -> Option<&[Job]> {
        match self {
            Self::Enqueue(jobs, _) => Some(jobs),
            _ => None,
        }
    }

    fn answer(self, reply: Result<Reply>) {
        match (self, reply) {
            (Self::Enqueue(_, answer), Ok(Reply::Enqueued(enqueued))) => answer.give(Ok(enqueued)),
            (Self::Finish(_, answer), Ok(Reply::Finished(finished))) => answer.give(Ok(finished)),
            (Self::Heartbeat(_, answer), Ok(Reply::Heard(heard))) => answer.give(Ok(heard)),
            (Self::Claim(_, answer), Ok(Reply::Claimed(claimed))) => answer.give(Ok(claimed)),
            (Self::Cancel(.., answer), Ok(Reply::State(state))) => answer.give(Ok(state)),
            (Self::Redrive(.., answer) | Self::Discard(.., answer), Ok(Reply::Ids(ids))) => {
                answer.give(Ok(ids))
            }
            (Self::Maintain(_, answer), Ok(Reply::Maintained(maintained))) => answer.give(Ok(maintained)),
            (Self::TakeBack(answer), Ok(Reply::TakenBack(taken_back))) => answer.give(Ok(taken_back)),
            #[cfg(feature = "schedules")]
            (Self::Schedule(op), Ok(Reply::Scheduled(reply))) => op.answer(Ok(reply)),
            (op, Ok(_)) => op.fail(unexpected()),
            (op, Err(error)) => op.fail(error),
        }
    }
}

impl Reply {
    /// Whether there may be more to claim than before.
    fn makes_ready(&self) -> bool {
        match self {
            Self::Enqueued(enqueued) => enqueued.iter().any(Enqueued::is_added),
            Self::Finished(finished) => finished.iter().any(|state| matches!(state, Ok(JobState::Ready))),
            Self::Ids(_) | Self::TakenBack(true) => true,
            #[cfg(feature = "schedules")]
            Self::Scheduled(reply) => reply.makes_ready(),
            _ => false,
        }
    }
}

impl Batch for JobWriter {
    type Op = Op;

    async fn apply(&mut self, ops: Vec<Op>) {
        match self.transact(&ops).await {
            Ok(replies) => {
                let ready = replies.iter().flatten().any(Reply::makes_ready);
                ops.into_iter().zip(replies).for_each(|(op, reply)| op.answer(reply));
                if ready {
                    self.ready.notify_waiters();
                }
            }
            Err(error) => {
                // Where there is no transaction any more, this is an error of no interest.
                let _ = self.connection.execute("ROLLBACK").await;
                ops.into_iter().for_each(|op| op.fail(error.clone()));
            }
        }
    }

    async fn close(self) -> Result<()> {
        self.connection.close().await.map_err(map_error("close job queue"))
    }
}

fn unexpected() -> Error {
    Error::new(ErrorKind::Internal, "answer job queue")
}
