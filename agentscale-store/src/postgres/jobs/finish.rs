//! The ends of runs.

use agentscale_core::jobs::{Finish, JobState, RunOutcome, fenced};
use agentscale_core::{Error, ErrorKind, Result};
use sqlx::postgres::PgRow;

use super::lane::{Op, Work};
use super::row::{Columns, Place, corrupt, micros, state};
use super::shared::Database;
use crate::postgres::{Bound, Link, Postgres, Statement};

const OPERATION: &str = "finish job";

/// # Errors
/// `unsupported` for an outcome that this store does not know.
pub(super) fn check(finish: &Finish) -> Result<()> {
    outcome(finish).map(|_| ()).ok_or_else(|| Error::new(ErrorKind::Unsupported, OPERATION))
}

/// The finishes of one call.
#[derive(Debug)]
pub(super) struct Finishes(pub(super) Vec<Finish>);

impl Work for Finishes {
    type Answer = Vec<Result<JobState>>;

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|finish| result(finish).map_or(0, <[u8]>::len)).sum()
    }

    fn fits(&self, _: &[Op<Self>]) -> bool {
        true
    }

    async fn write(
        database: &Database,
        link: &mut Link,
        ops: &[Op<Self>],
    ) -> Result<Vec<Result<Self::Answer>>> {
        let finishes: Vec<&Finish> = ops.iter().flat_map(|op| &op.work.0).collect();
        let ended = end(database, &mut Via::Link(link), &finishes, Whose::Workers).await?;
        let mut ended = ended
            .into_iter()
            .zip(finishes)
            .map(|(ended, finish)| ended.ok_or_else(|| fenced(OPERATION, finish.run)));
        Ok(ops.iter().map(|op| Ok(ended.by_ref().take(op.work.0.len()).collect())).collect())
    }
}

/// Who ends a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Who has it.
    Workers,
    /// Whoever finds that its time is over.
    Finders,
}

/// The connection of a lane, or any of the pool.
pub(super) enum Via<'a> {
    Link(&'a mut Link),
    Pool(&'a Postgres),
}

impl Via<'_> {
    async fn fetch(&mut self, statement: &Statement, bound: Bound) -> Result<Vec<PgRow>> {
        match self {
            Self::Link(link) => link.fetch(statement, bound).await,
            Self::Pool(postgres) => postgres.fetch(statement, bound).await,
        }
    }
}

/// Where each job has come to; `None` where the run is not under way.
pub(super) async fn end(
    database: &Database,
    via: &mut Via<'_>,
    finishes: &[&Finish],
    whose: Whose,
) -> Result<Vec<Option<JobState>>> {
    let mut ended = vec![None; finishes.len()];
    let mut left: Vec<usize> = (0..finishes.len()).collect();
    // Whoever else locks some of these rows does so in the same order.
    left.sort_by_key(|at| Place::of(finishes[*at].run).order());
    // A run that is not where it began may have gone home meanwhile.
    for at_home in [false, true] {
        if left.is_empty() {
            break;
        }
        let rows = via.fetch(&database.statements.finish, bound(finishes, &left, at_home, whose)).await?;
        for row in &rows {
            let mut columns = Columns::of(row);
            let place = usize::try_from(columns.next::<i32>()?).map_err(|_| corrupt("place"))?;
            let becomes = state(columns.next()?)?;
            if becomes == JobState::Ready {
                let queue = columns.next::<&str>()?.try_into();
                database.wake.tell(queue.map_err(|error: Error| corrupt("queue").with_source(error))?);
            }
            *ended.get_mut(place).ok_or_else(|| corrupt("place"))? = Some(becomes);
        }
        left.retain(|at| ended[*at].is_none());
    }
    Ok(ended)
}

fn bound(finishes: &[&Finish], which: &[usize], at_home: bool, whose: Whose) -> Bound {
    let rows = || which.iter().map(|at| finishes[*at]);
    let place = |finish: &Finish| {
        let place = Place::of(finish.run);
        if at_home { Place { segment: 0, ..place } } else { place }
    };
    Bound::new()
        .with(which.iter().map(|at| i32::try_from(*at).unwrap_or(i32::MAX)).collect::<Vec<_>>())
        .with(rows().map(|finish| place(finish).segment).collect::<Vec<_>>())
        .with(rows().map(|finish| place(finish).id).collect::<Vec<_>>())
        .with(rows().map(|finish| place(finish).seq).collect::<Vec<_>>())
        .with(rows().map(outcome).collect::<Vec<_>>())
        .with(rows().map(result).collect::<Vec<_>>())
        .with(rows().map(cause).collect::<Vec<_>>())
        .with(rows().map(after).collect::<Vec<_>>())
        .with(vec![whose == Whose::Finders; which.len()])
}

/// By its number in the statement.
fn outcome(finish: &Finish) -> Option<i16> {
    match finish.outcome {
        RunOutcome::Retry { .. } => Some(0),
        RunOutcome::Snooze(_) => Some(1),
        RunOutcome::Completed(_) => Some(3),
        RunOutcome::Cancelled => Some(4),
        RunOutcome::Dead(_) => Some(5),
        _ => None,
    }
}

fn result(finish: &Finish) -> Option<&[u8]> {
    match &finish.outcome {
        RunOutcome::Completed(result) if !result.is_empty() => Some(result),
        _ => None,
    }
}

fn cause(finish: &Finish) -> Option<&str> {
    match &finish.outcome {
        RunOutcome::Retry { cause, .. } | RunOutcome::Dead(cause) => Some(cause.as_str()),
        _ => None,
    }
}

fn after(finish: &Finish) -> Option<i64> {
    match finish.outcome {
        RunOutcome::Retry { after, .. } | RunOutcome::Snooze(after) => Some(micros(after)),
        _ => None,
    }
}
