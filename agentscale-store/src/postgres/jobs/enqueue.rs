//! Adding jobs.

use std::collections::HashSet;

use agentscale_core::jobs::{Enqueued, Job, JobId, JobStart};
use agentscale_core::{Error, ErrorKind, Result, Retry};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::lane::{Op, Work};
use super::row::{Columns, corrupt, encode_details, micros, outcome};
use super::shared::Database;
use super::statements::Statements;
use crate::postgres::{Bound, Link, Postgres, Statement, map_error};

const OPERATION: &str = "enqueue jobs";
/// How often jobs are added anew because others added the same ones at the same time.
const ATTEMPTS: u32 = 8;

/// The jobs of one call, none of which has a key or the id of another one: what is usual.
#[derive(Debug)]
pub(super) struct Enqueues {
    jobs: Vec<Job>,
    details: Vec<Option<Vec<u8>>>,
}

impl Enqueues {
    /// As they are, or else what has to be added one after the other.
    pub(super) fn new(jobs: Vec<Job>) -> Result<std::result::Result<Self, Each>> {
        let details = jobs.iter().map(encode_details).collect::<Result<_>>()?;
        let mut ids = HashSet::with_capacity(jobs.len());
        let is_plain = |job: &Job| job.unique.is_none() && job.idempotency.is_none();
        if jobs.iter().all(|job| is_plain(job) && ids.insert(job.id)) {
            return Ok(Ok(Self { jobs, details }));
        }
        Ok(Err(Each { jobs, details }))
    }
}

impl Work for Enqueues {
    /// `None` where somebody else adds one of them at this moment.
    type Answer = std::result::Result<Vec<Enqueued>, Each>;

    fn rows(&self) -> usize {
        self.jobs.len()
    }

    fn bytes(&self) -> usize {
        self.jobs.iter().map(|job| job.payload.len()).sum()
    }

    fn fits(&self, together: &[Op<Self>]) -> bool {
        // The jobs of one statement do not see each other. Few are added twice.
        self.rows() * together.len() < 10_000 && {
            let ids: HashSet<JobId> = self.jobs.iter().map(|job| job.id).collect();
            together.iter().flat_map(|op| &op.work.jobs).all(|job| !ids.contains(&job.id))
        }
    }

    async fn write(
        database: &Database,
        link: &mut Link,
        ops: &[Op<Self>],
    ) -> Result<Vec<Result<Self::Answer>>> {
        let work: Vec<&Self> = ops.iter().map(|op| &op.work).collect();
        let rows = link.fetch(&database.statements.enqueue, plain(&work)).await?;
        answers(&work, &rows)
    }
}

/// Jobs that are added one after the other.
#[derive(Debug)]
pub(super) struct Each {
    jobs: Vec<Job>,
    details: Vec<Option<Vec<u8>>>,
}

impl Each {
    /// In one statement and one transaction.
    pub(super) async fn add(&self, postgres: &Postgres, statements: &Statements) -> Result<Vec<Enqueued>> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match postgres.fetch(&statements.enqueue_each, self.bound()).await {
                Err(error) if error.kind() == ErrorKind::Conflict && attempts < ATTEMPTS => {}
                rows => return self.answers(&rows?),
            }
        }
    }

    fn answers(&self, rows: &[PgRow]) -> Result<Vec<Enqueued>> {
        let mut answers = Vec::with_capacity(rows.len());
        for row in rows {
            let mut columns = Columns::of(row);
            let _place: i64 = columns.next()?;
            let found: i16 = columns.next()?;
            let id = JobId(columns.next()?);
            let outcome = outcome(columns.next()?, columns.next()?)?;
            match found {
                ADDED => answers.push(Enqueued::Added(id)),
                SAME => answers.push(Enqueued::Exists { id, outcome }),
                // It is the last row: what came before is undone.
                _ => return Err(conflict(id)),
            }
        }
        if answers.len() != self.jobs.len() {
            return Err(corrupt("place"));
        }
        Ok(answers)
    }

    fn bound(&self) -> Bound {
        let jobs = || self.jobs.iter();
        described(Bound::new(), jobs, self.details.iter())
            .with(jobs().map(|job| job.unique.as_ref().map(|unique| unique.key.as_str())).collect::<Vec<_>>())
            .with(jobs().map(is_begun).collect::<Vec<_>>())
            .with(jobs().map(|job| Some(job.idempotency.as_ref()?.key.as_str())).collect::<Vec<_>>())
            .with(jobs().map(|job| Some(micros(job.idempotency.as_ref()?.retention))).collect::<Vec<_>>())
    }
}

/// Adds jobs within the transaction of a caller, whose connection may stand behind any pooler.
pub(super) async fn within(
    connection: &mut PgConnection,
    statements: &Statements,
    jobs: Vec<Job>,
) -> Result<Vec<Enqueued>> {
    let each = match Enqueues::new(jobs)? {
        Ok(work) => {
            let rows = fetch(connection, &statements.enqueue, plain(&[&work])).await?;
            let unanswered = || Error::new(ErrorKind::Internal, OPERATION);
            match answers(&[&work], &rows)?.pop().ok_or_else(unanswered)?? {
                Ok(answers) => return Ok(answers),
                Err(each) => each,
            }
        }
        Err(each) => each,
    };
    let rows = fetch(connection, &statements.enqueue_each, each.bound()).await?;
    each.answers(&rows)
}

async fn fetch(connection: &mut PgConnection, statement: &Statement, bound: Bound) -> Result<Vec<PgRow>> {
    let query = sqlx::query_with(AssertSqlSafe(statement.text.clone()), bound.end()?);
    query.persistent(false).fetch_all(connection).await.map_err(map_error(OPERATION))
}

/// What statements say of a job.
const ADDED: i16 = 0;
const SAME: i16 = 1;

fn plain(work: &[&Enqueues]) -> Bound {
    let jobs = || work.iter().flat_map(|work| &work.jobs);
    let number = |at: usize| i32::try_from(at).unwrap_or(i32::MAX);
    let calls = work.iter().enumerate();
    let bound = Bound::new()
        .with((0..jobs().count()).map(number).collect::<Vec<_>>())
        .with(calls.flat_map(|(at, work)| vec![number(at); work.jobs.len()]).collect::<Vec<_>>());
    described(bound, jobs, work.iter().flat_map(|work| &work.details))
}

/// What every job has: id, tenant, queue, class, kind, payload, details, attempts, delay, start.
fn described<'a, J: Iterator<Item = &'a Job>>(
    bound: Bound,
    jobs: impl Fn() -> J,
    details: impl Iterator<Item = &'a Option<Vec<u8>>>,
) -> Bound {
    bound
        .with(jobs().map(|job| job.id.0).collect::<Vec<Uuid>>())
        .with(jobs().map(|job| job.tenant.as_str()).collect::<Vec<_>>())
        .with(jobs().map(|job| job.queue.as_str()).collect::<Vec<_>>())
        .with(jobs().map(|job| i16::from(job.priority.rank())).collect::<Vec<_>>())
        .with(jobs().map(|job| job.kind.as_str()).collect::<Vec<_>>())
        .with(jobs().map(|job| &*job.payload).collect::<Vec<&[u8]>>())
        .with(details.map(Option::as_deref).collect::<Vec<_>>())
        .with(jobs().map(|job| i32::try_from(job.retry.max_attempts).unwrap_or(i32::MAX)).collect::<Vec<_>>())
        .with(jobs().map(delay).collect::<Vec<_>>())
        .with(jobs().map(start).collect::<Vec<_>>())
}

fn delay(job: &Job) -> Option<i64> {
    match job.start {
        JobStart::After(delay) => Some(micros(delay)),
        _ => None,
    }
}

fn start(job: &Job) -> Option<i64> {
    match job.start {
        JobStart::At(moment) => Some(i64::try_from(moment).unwrap_or(i64::MAX)),
        _ => None,
    }
}

fn is_begun(job: &Job) -> bool {
    use agentscale_core::jobs::UniqueUntil::Begun;
    job.unique.as_ref().is_some_and(|unique| unique.until == Begun)
}

/// For each call, in their order.
fn answers(work: &[&Enqueues], rows: &[PgRow]) -> Result<Vec<Result<<Enqueues as Work>::Answer>>> {
    let mut found = vec![None; work.iter().map(|work| work.jobs.len()).sum()];
    for row in rows {
        let mut columns = Columns::of(row);
        let place = usize::try_from(columns.next::<i32>()?).map_err(|_| corrupt("place"))?;
        *found.get_mut(place).ok_or_else(|| corrupt("place"))? = Some(columns.next::<i16>()?);
    }
    let mut found = found.into_iter();
    let answer = |work: &&Enqueues| {
        let found: Vec<Option<i16>> = found.by_ref().take(work.jobs.len()).collect();
        let conflicting =
            found.iter().position(|found| found.is_some_and(|found| found != ADDED && found != SAME));
        if let Some(place) = conflicting {
            return Err(conflict(work.jobs[place].id));
        }
        let answers = work.jobs.iter().zip(&found).map(|(job, found)| match found {
            Some(ADDED) => Some(Enqueued::Added(job.id)),
            Some(_) => Some(Enqueued::Exists { id: job.id, outcome: None }),
            None => None,
        });
        let each = || Each { jobs: work.jobs.clone(), details: work.details.clone() };
        Ok(answers.collect::<Option<Vec<_>>>().ok_or_else(each))
    };
    Ok(work.iter().map(answer).collect())
}

fn conflict(id: JobId) -> Error {
    Error::new(ErrorKind::Conflict, OPERATION)
        .with_retry(Retry::Never)
        .with_context("job", id)
        .with_context("reason", "enqueued with other content")
}
