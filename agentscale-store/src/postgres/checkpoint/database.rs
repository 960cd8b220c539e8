//! What writers and readers share: the statements, and what an answer of the database means.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::checkpoint::{AppendSteps, At, Committed, Durability, Field, StateLimits, Version};
use agentscale_core::{AgentId, Clock, Error, ErrorKind, Result, Retry};
use tokio::time::{Instant, sleep};

use super::known::Known;
use super::op::{Shape, Verdict, Write};
use super::statements::Statements;
use super::via::Via;
use super::{commit, read, steps};
use crate::checkpoint::codec;
use crate::checkpoint::due::Due;
use crate::checkpoint::names::Names;
use crate::checkpoint::refusal::{SETTLED, conflict, fenced};
use crate::checkpoint::stats::Counters;
use crate::delta;
use crate::postgres::Postgres;

/// How often a commit is written anew because what was known of its thread was outdated.
const ATTEMPTS: u32 = 8;
/// The pauses between two looks at a row that another connection holds.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Database {
    pub(super) postgres: Postgres,
    pub(super) statements: Statements,
    pub(super) limits: StateLimits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) known: Known,
    pub(super) counters: Counters,
    pub(super) due: Option<Due>,
    /// What each commit reaches.
    pub(super) level: Durability,
    /// How long a row may be held by another connection.
    pub(super) patience: Duration,
}

/// What a verdict leads to.
pub(super) enum Next {
    Answer(Result<Committed>),
    /// To be written anew; the commit was changed.
    Again,
    /// To be written anew when another connection has let go.
    Later,
}

impl Database {
    /// Writes commits of different threads.
    pub(super) async fn write(&self, via: &mut Via<'_>, writes: &mut [&mut Write]) -> Result<Vec<Verdict>> {
        for write in writes.iter_mut() {
            self.prepare(write);
            self.counters.payload(&write.delta);
        }
        let writes: Vec<&Write> = writes.iter().map(|write| &**write).collect();
        let rows = via.fetch(&self.statements.commit, commit::arguments(&writes, &self.limits)).await?;
        let verdicts = in_order(rows.iter().map(commit::verdict), writes.len())?;
        let written = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Written { .. })).count();
        self.counters.batch(written, self.level);
        Ok(verdicts)
    }

    /// Journals steps of different threads.
    pub(super) async fn append(&self, via: &mut Via<'_>, appended: &[&AppendSteps]) -> Result<Vec<Verdict>> {
        let rows = via.fetch(&self.statements.steps, steps::arguments(appended)).await?;
        in_order(rows.iter().map(steps::verdict), appended.len())
    }

    /// What became of a commit.
    pub(super) async fn next(&self, via: &mut Via<'_>, write: &mut Write, verdict: Verdict) -> Next {
        let commit = &write.commit;
        let (thread, version) = (&commit.thread, Version(commit.expected.0 + 1));
        let refused = |error: Error| Next::Answer(Err(error));
        match verdict {
            Verdict::Written { thread: number, behind } => {
                // Another instance may have written in between: what was known here is no more than that.
                let names = if behind == write.behind { write.names.clone() } else { Names::UNKNOWN };
                self.known.put(thread.clone(), commit.id.0, names);
                if let Some(due) = &self.due {
                    due.moved(number, version);
                }
                Next::Answer(Ok(Committed::new(version, self.level)))
            }
            Verdict::Fenced => {
                self.known.forget(thread);
                refused(fenced("commit", thread))
            }
            Verdict::Moved { version: tip_version, tip } => {
                self.known.forget(thread);
                match self.is_repeated(via, write, tip_version, tip).await {
                    Ok(true) => Next::Answer(Ok(Committed::new(version, self.level))),
                    Ok(false) => refused(
                        conflict("commit", thread, "another version").with_context("version", tip_version),
                    ),
                    Err(error) => refused(error),
                }
            }
            Verdict::OtherRequest { .. } => {
                refused(conflict("commit", thread, "idempotency key of another request"))
            }
            Verdict::Settled => refused(conflict("commit", thread, SETTLED)),
            Verdict::Locked => Next::Later,
            Verdict::Stale => {
                self.known.forget(thread);
                if matches!(write.shape, Shape::Folded { .. }) {
                    write.delta = codec::encode(&write.commit.fields);
                    write.shape = Shape::Change;
                }
                Next::Again
            }
            Verdict::Long => match self.fold(via, write).await {
                Ok(()) => Next::Again,
                Err(error) => refused(error.with_context("thread", &write.commit.thread)),
            },
        }
    }

    /// Writes one commit until it has an answer.
    pub(super) async fn finish(
        &self,
        via: &mut Via<'_>,
        write: &mut Write,
        mut verdict: Verdict,
        patience: Duration,
    ) -> Result<Committed> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        loop {
            match self.next(via, write, verdict).await {
                Next::Answer(answer) => return answer,
                Next::Again if attempts < ATTEMPTS => attempts += 1,
                Next::Again => {
                    let error = conflict("commit", &write.commit.thread, "the thread changes all the time");
                    return Err(error.with_retry(Retry::Later));
                }
                Next::Later if began.elapsed() < patience => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Next::Later => return Err(held("commit", &write.commit.thread)),
            }
            let verdicts = self.write(via, &mut [&mut *write]).await?;
            verdict = verdicts.into_iter().next().unwrap_or(Verdict::Fenced);
        }
    }

    /// Journals the steps of one thread until there is an answer.
    pub(super) async fn finish_steps(
        &self,
        via: &mut Via<'_>,
        appended: &AppendSteps,
        mut verdict: Verdict,
    ) -> Result<()> {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match verdict {
                Verdict::Written { .. } => return Ok(()),
                Verdict::OtherRequest { step } => {
                    let error = conflict("append steps", &appended.thread, "step of another request");
                    return Err(match step {
                        Some(step) => error.with_context("step", step),
                        None => error,
                    });
                }
                Verdict::Locked if began.elapsed() < self.patience => {
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Verdict::Locked => return Err(held("append steps", &appended.thread)),
                _ => return Err(fenced("append steps", &appended.thread)),
            }
            let verdicts = self.append(via, &[appended]).await?;
            verdict = verdicts.into_iter().next().unwrap_or(Verdict::Fenced);
        }
    }

    /// Sees whether a change is the whole state: one that leaves nothing of what was, as far as that is known.
    fn prepare(&self, write: &mut Write) {
        write.now = self.clock.unix_micros();
        if matches!(write.shape, Shape::Folded { .. }) {
            return;
        }
        let commit = &write.commit;
        let (tip, names) = self.known.before(&commit.thread, commit.expected);
        let fits = write.delta.len() <= self.limits.state_bytes;
        write.shape = match tip {
            Some(after) if fits && names.are_all_replaced_by(&commit.fields) => Shape::Whole { after },
            _ => Shape::Change,
        };
        write.names = names.after(&commit.fields);
        write.behind = tip;
    }

    /// Makes the delta of a commit the whole state after it.
    async fn fold(&self, via: &mut Via<'_>, write: &mut Write) -> Result<()> {
        let tip = read::checkpoint(via, &self.statements, &write.commit.thread, At::Tip).await?;
        let after = tip.as_ref().map(|tip| tip.info.id.0);
        let fields: Vec<Field> = tip.map(|tip| tip.fields).unwrap_or_default();
        let fields = delta::fold(fields, write.commit.fields.iter().cloned());
        delta::check_state(&fields, &self.limits)?;
        write.names = Names::of(&fields);
        write.behind = after;
        write.delta = codec::encode(&codec::whole(&fields));
        write.shape = Shape::Folded { after };
        Ok(())
    }

    /// Whether the commit stands already, sent again because its answer was lost.
    async fn is_repeated(
        &self,
        via: &mut Via<'_>,
        write: &Write,
        tip_version: u64,
        tip: Option<uuid::Uuid>,
    ) -> Result<bool> {
        let commit = &write.commit;
        let version = commit.expected.0 + 1;
        if tip_version <= version {
            return Ok(tip_version == version && tip == Some(commit.id.0));
        }
        let bound = read::named(&commit.thread)
            .with(version.cast_signed())
            .with(commit.id.0)
            .with(i64::from(commit.epoch.incarnation))
            .with(commit.epoch.counter.cast_signed());
        Ok(!via.fetch(&self.statements.repeated, bound).await?.is_empty())
    }
}

/// The answer where a row was not let go in time.
fn held(operation: &'static str, thread: &AgentId) -> Error {
    Error::new(ErrorKind::Unavailable, operation)
        .with_context("thread", thread)
        .with_context("reason", "locked by another connection")
}

/// The verdicts by the places of what they are about.
fn in_order(verdicts: impl Iterator<Item = Result<(usize, Verdict)>>, count: usize) -> Result<Vec<Verdict>> {
    let mut placed: Vec<Option<Verdict>> = vec![None; count];
    for verdict in verdicts {
        let (place, verdict) = verdict?;
        if let Some(slot) = placed.get_mut(place) {
            *slot = Some(verdict);
        }
    }
    placed.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| {
        Error::new(ErrorKind::Internal, "read answer of the database").with_context("reason", "incomplete")
    })
}
