//! Rows of jobs, and what stands in them encoded.

use std::time::Duration;

use agentscale_core::jobs::{Cause, Epoch, Job, JobId, JobOutcome, JobRetry, JobState, Run};
use agentscale_core::{Error, ErrorKind, Priority, Result, TraceContext};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgRow, Postgres};
use sqlx::{Decode, Row, Type};
use uuid::Uuid;

use crate::postgres::map_error;

const OPERATION: &str = "read job";
/// The bits of an epoch's counter that name the segment in which the run began.
const SEGMENT_BITS: u32 = 8;

/// Where a run is to be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: i16,
    pub(super) id: Uuid,
    pub(super) seq: i64,
}

impl Place {
    /// An epoch says by itself where its run is: in the segment in which it began, or at home.
    pub(super) fn of(run: Run) -> Self {
        let counter = run.epoch.counter;
        let known = run.epoch.incarnation == 0;
        Self {
            segment: (counter & ((1 << SEGMENT_BITS) - 1)) as i16,
            id: run.id.0,
            // No job has this number.
            seq: if known { (counter >> SEGMENT_BITS).cast_signed() } else { 0 },
        }
    }

    /// The order in which rows of several runs are locked.
    pub(super) fn order(self) -> (i16, Uuid) {
        (self.segment, self.id)
    }

    pub(super) fn run(self) -> Run {
        let counter = self.seq.cast_unsigned() << SEGMENT_BITS | u64::from(self.segment.cast_unsigned());
        Run { id: JobId(self.id), epoch: Epoch { incarnation: 0, counter } }
    }
}

/// What only workers read of a job, where it is not the default.
#[derive(Default, Serialize, Deserialize)]
struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<JobRetry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<TraceContext>,
}

pub(super) fn encode_details(job: &Job) -> Result<Option<Vec<u8>>> {
    let usual = JobRetry { max_attempts: job.retry.max_attempts, ..JobRetry::default() };
    let retry = (job.retry != usual).then(|| job.retry.clone());
    if retry.is_none() && job.timeout.is_none() && job.trace.is_none() {
        return Ok(None);
    }
    let details = Details { retry, timeout: job.timeout, trace: job.trace.clone() };
    let encoded = serde_json::to_vec(&details);
    encoded.map(Some).map_err(|error| Error::new(ErrorKind::Internal, "enqueue jobs").with_source(error))
}

/// Reads columns one after the other.
pub(super) struct Columns<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r PgRow) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn skip(&mut self, columns: usize) {
        self.next += columns;
    }

    pub(super) fn next<T: Decode<'r, Postgres> + Type<Postgres>>(&mut self) -> Result<T> {
        let column = self.next;
        self.next += 1;
        self.row.try_get(column).map_err(map_error(OPERATION))
    }
}

/// A job as its row has it.
pub(super) struct Stored {
    pub(super) job: Job,
    pub(super) place: Place,
    pub(super) class: i16,
    pub(super) attempts: u32,
    pub(super) enqueued: u64,
}

impl Stored {
    /// `segment, id, seq, tenant, queue, class, kind, payload, details, attempts, max_attempts, enqueued`; none where there
    /// is no row beside.
    pub(super) fn read(columns: &mut Columns<'_>) -> Result<Option<Self>> {
        let Some(segment) = columns.next()? else { return Ok(None) };
        let place = Place { segment, id: columns.next()?, seq: columns.next()? };
        let unreadable = |error: Error| Error::new(ErrorKind::Corrupt, OPERATION).with_source(error);
        let tenant = columns.next::<&str>()?.try_into().map_err(unreadable)?;
        let queue = columns.next::<&str>()?.try_into().map_err(unreadable)?;
        let class: i16 = columns.next()?;
        let kind = columns.next::<&str>()?.try_into().map_err(unreadable)?;
        let payload = Bytes::copy_from_slice(columns.next()?);
        let mut job = Job::new(JobId(place.id), tenant, queue, kind, payload);
        job.priority =
            u8::try_from(class).ok().and_then(Priority::from_rank).ok_or_else(|| corrupt("class"))?;
        if let Some(details) = columns.next::<Option<&[u8]>>()? {
            let details: Details = serde_json::from_slice(details)
                .map_err(|error| Error::new(ErrorKind::Corrupt, OPERATION).with_source(error))?;
            job.retry = details.retry.unwrap_or_default();
            job.timeout = details.timeout;
            job.trace = details.trace;
        }
        let attempts = number(columns.next()?)?;
        job.retry.max_attempts = number(columns.next()?)?;
        let enqueued = columns.next::<i64>()?.cast_unsigned();
        Ok(Some(Self { job, place, class, attempts, enqueued }))
    }
}

pub(super) fn number(found: i32) -> Result<u32> {
    u32::try_from(found).map_err(|_| corrupt("attempts"))
}

/// The states by their numbers in statements.
const STATES: [JobState; 6] = [
    JobState::Waiting,
    JobState::Ready,
    JobState::Running,
    JobState::Completed,
    JobState::Cancelled,
    JobState::Dead,
];

pub(super) fn state(found: i16) -> Result<JobState> {
    usize::try_from(found).ok().and_then(|at| STATES.get(at)).copied().ok_or_else(|| corrupt("state"))
}

/// An outcome by its state and its body.
pub(super) fn outcome(found: Option<i16>, body: Option<&[u8]>) -> Result<Option<JobOutcome>> {
    let Some(found) = found else { return Ok(None) };
    let body = body.unwrap_or_default();
    match state(found)? {
        JobState::Completed => Ok(Some(JobOutcome::Completed(Bytes::copy_from_slice(body)))),
        JobState::Dead => Ok(Some(JobOutcome::Dead(Cause::new(String::from_utf8_lossy(body))))),
        JobState::Cancelled => Ok(Some(JobOutcome::Cancelled)),
        _ => Err(corrupt("state")),
    }
}

pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn corrupt(column: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, OPERATION).with_context("column", column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_leads_to_its_run() {
        let place = Place { segment: 8, id: Uuid::from_u128(7), seq: 1 << 40 };
        assert_eq!(Place::of(place.run()), place);
        let later = Place { segment: 0, seq: place.seq + 1, ..place };
        assert!(later.run().epoch > place.run().epoch);
    }
}
