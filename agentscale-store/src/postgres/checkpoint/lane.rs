//! The task that writes for its share of the threads.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::AppendSteps;
use agentscale_core::{Error, ErrorKind, Result};
use tokio::task::JoinSet;

use super::database::Database;
use super::op::{Op, Reply, Verdict, Work, Write};
use super::via::Via;
use crate::checkpoint::answer::Answer;
use crate::group::Batch;
use crate::postgres::Link;

/// Bytes that one statement carries, at most; one larger commit goes alone.
const STATEMENT_BYTES: usize = 8 << 20;
/// How long the others wait for a *buffered* commit whose thread another connection holds.
const SHORT: Duration = Duration::from_millis(200);
/// Operations that wait for rows of others beside the task, at most.
const STALLED: usize = 256;

type Commit = (Box<Write>, Answer<Reply>);
type Steps = (Box<AppendSteps>, Answer<Reply>);

/// Writes batches of operations, each by few statements.
#[derive(Debug)]
pub(super) struct Lane {
    database: Arc<Database>,
    link: Link,
    /// Operations on rows that other connections hold wait here, and nobody else for them.
    stalled: JoinSet<()>,
}

impl Batch for Lane {
    type Op = Op;

    async fn apply(&mut self, ops: Vec<Op>) {
        while self.stalled.try_join_next().is_some() {}
        let mut waiting = VecDeque::from(ops);
        while !waiting.is_empty() {
            let (commits, steps) = round(&mut waiting);
            if !commits.is_empty() {
                self.commits(commits).await;
            }
            if !steps.is_empty() {
                self.steps(steps).await;
            }
        }
    }

    async fn close(mut self) -> Result<()> {
        while self.stalled.join_next().await.is_some() {}
        self.link.close().await;
        Ok(())
    }
}

impl Lane {
    pub(super) fn new(database: Arc<Database>) -> Self {
        let link = database.postgres.link();
        Self { database, link, stalled: JoinSet::new() }
    }

    async fn commits(&mut self, mut ops: Vec<Commit>) {
        let mut writes: Vec<&mut Write> = ops.iter_mut().map(|(write, _)| &mut **write).collect();
        let mut verdicts = self.write(&mut writes).await;
        if verdicts.as_ref().is_err_and(|error| is_of_one(error) && writes.len() > 1) {
            for (write, answer) in ops {
                let mut write = write;
                match self.write(&mut [&mut write]).await {
                    Ok(verdict) => self.settle((write, answer), verdict[0]).await,
                    Err(error) => answer.give(Err(error)),
                }
            }
            return;
        }
        for (place, op) in ops.into_iter().enumerate() {
            match &mut verdicts {
                Ok(verdicts) => self.settle(op, verdicts[place]).await,
                Err(error) => op.1.give(Err(error.clone())),
            }
        }
    }

    /// Writes, once more where the connection was lost: a commit that stands already is told by its id.
    async fn write(&mut self, writes: &mut [&mut Write]) -> Result<Vec<Verdict>> {
        let first = self.database.write(&mut Via::Link(&mut self.link), writes).await;
        match first {
            Err(error) if self.is_lost(&error) => {
                self.database.write(&mut Via::Link(&mut self.link), writes).await
            }
            other => other,
        }
    }

    async fn settle(&mut self, (mut write, answer): Commit, verdict: Verdict) {
        let database = self.database.clone();
        let is_held = verdict == Verdict::Locked;
        if is_held && matches!(answer, Answer::Caller(_)) && self.stalled.len() < STALLED {
            self.stalled.spawn(async move {
                let mut via = Via::Pool(&database.postgres);
                let finished = database.finish(&mut via, &mut write, verdict, database.patience).await;
                answer.give(finished.map(Reply::Committed));
            });
            return;
        }
        let via = &mut Via::Link(&mut self.link);
        let finished = database.finish(via, &mut write, verdict, SHORT).await;
        answer.give(finished.map(Reply::Committed));
    }

    async fn steps(&mut self, ops: Vec<Steps>) {
        let appended: Vec<&AppendSteps> = ops.iter().map(|(steps, _)| &**steps).collect();
        let mut verdicts = self.append(&appended).await;
        if verdicts.as_ref().is_err_and(|error| is_of_one(error) && appended.len() > 1) {
            for (steps, answer) in ops {
                match self.append(&[&*steps]).await {
                    Ok(verdict) => self.settle_steps((steps, answer), verdict[0]).await,
                    Err(error) => answer.give(Err(error)),
                }
            }
            return;
        }
        for (place, op) in ops.into_iter().enumerate() {
            match &mut verdicts {
                Ok(verdicts) => self.settle_steps(op, verdicts[place]).await,
                Err(error) => op.1.give(Err(error.clone())),
            }
        }
    }

    /// Journals, once more where the connection was lost: repeating a step changes nothing.
    async fn append(&mut self, appended: &[&AppendSteps]) -> Result<Vec<Verdict>> {
        let first = self.database.append(&mut Via::Link(&mut self.link), appended).await;
        match first {
            Err(error) if self.is_lost(&error) => {
                self.database.append(&mut Via::Link(&mut self.link), appended).await
            }
            other => other,
        }
    }

    async fn settle_steps(&mut self, (steps, answer): Steps, verdict: Verdict) {
        let database = self.database.clone();
        if verdict == Verdict::Locked && self.stalled.len() < STALLED {
            self.stalled.spawn(async move {
                let mut via = Via::Pool(&database.postgres);
                let finished = database.finish_steps(&mut via, &steps, verdict).await;
                answer.give(finished.map(|()| Reply::Done));
            });
            return;
        }
        let finished = database.finish_steps(&mut Via::Link(&mut self.link), &steps, verdict).await;
        answer.give(finished.map(|()| Reply::Done));
    }

    fn is_lost(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Unavailable && !self.link.is_connected()
    }
}

/// Whether an error can come from one operation of several: then each is written alone.
fn is_of_one(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::DeadlineExceeded
            | ErrorKind::Unauthenticated
    )
}

/// Takes what one statement of each kind can write: one operation of a thread, in the order in which they came, and no
/// message that is settled twice.
fn round(waiting: &mut VecDeque<Op>) -> (Vec<Commit>, Vec<Steps>) {
    let (mut commits, mut steps) = (Vec::new(), Vec::new());
    let mut threads = HashSet::new();
    let mut settled = HashSet::new();
    let mut left = VecDeque::new();
    let mut bytes = 0;
    while let Some(op) = waiting.pop_front() {
        let Some(thread) = op.work.thread().cloned() else {
            if commits.is_empty() && steps.is_empty() && left.is_empty() {
                op.answer.give(Ok(Reply::Done));
                continue;
            }
            left.push_back(op);
            break;
        };
        let is_first = threads.insert(thread);
        match op.work {
            Work::Commit(write)
                if is_first && write.commit.settles.is_none_or(|message| settled.insert(message)) =>
            {
                bytes += write.delta.len();
                commits.push((write, op.answer));
            }
            Work::Steps(append) if is_first => {
                bytes += append.steps.iter().map(|step| step.result.len()).sum::<usize>();
                steps.push((append, op.answer));
            }
            work => left.push_back(Op { work, answer: op.answer }),
        }
        if bytes >= STATEMENT_BYTES {
            break;
        }
    }
    left.append(waiting);
    *waiting = left;
    (commits, steps)
}
