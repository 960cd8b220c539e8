use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::jobs::{Cause, ClaimedJob, Job, Run};
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::runs::Entry;

/// Does jobs of one kind. A function of a [`JobRun`] is one too.
///
/// A job may run more than once, and where a worker was taken for dead, in two places at once: what a handler does is
/// harmless when done twice, or is refused by whoever sees the epoch of [`JobRun::run`].
#[async_trait]
pub trait JobHandler: Send + Sync + 'static {
    /// Does one job.
    ///
    /// # Errors
    /// Any error is a failed attempt, as a panic is. The next one follows after the wait of the job's retry, or after that
    /// of the error where it is longer.
    ///
    /// # Cancel safety
    /// The future is dropped a little after [`JobRun::stopped`] has come.
    async fn handle(&self, run: JobRun) -> Result<JobEnd>;
}

#[async_trait]
impl<F, R> JobHandler for F
where
    F: Fn(JobRun) -> R + Send + Sync + 'static,
    R: Future<Output = Result<JobEnd>> + Send,
{
    async fn handle(&self, run: JobRun) -> Result<JobEnd> {
        self(run).await
    }
}

/// How a handler ends a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JobEnd {
    /// The job is done. The result is kept for a job with an idempotency key.
    Done(Bytes),
    /// The job goes on later. No attempt is used.
    Snooze(Duration),
    /// The job fails for ever.
    Dead(Cause),
}

impl JobEnd {
    /// Done, without a result.
    pub fn done() -> Self {
        Self::Done(Bytes::new())
    }

    /// Done, with a result as JSON.
    ///
    /// # Errors
    /// `invalid_input` for a value that JSON cannot hold.
    pub fn json<T: Serialize + ?Sized>(result: &T) -> Result<Self> {
        serde_json::to_vec(result)
            .map(|bytes| Self::Done(bytes.into()))
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "encode result of job").with_source(error))
    }
}

/// A job that is under way. Clones are the same run.
#[derive(Clone, Debug)]
pub struct JobRun {
    claimed: Arc<ClaimedJob>,
    limit: Duration,
    entry: Arc<Entry>,
}

impl JobRun {
    pub(super) fn new(claimed: Arc<ClaimedJob>, limit: Duration, entry: Arc<Entry>) -> Self {
        Self { claimed, limit, entry }
    }

    /// The job.
    pub fn job(&self) -> &Job {
        &self.claimed.job
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.claimed.attempt
    }

    /// Whether a failure makes it a dead letter.
    pub fn is_last_attempt(&self) -> bool {
        self.claimed.is_last_attempt()
    }

    /// Names the run, with the epoch that whoever takes its writes may ask for.
    pub fn run(&self) -> Run {
        self.claimed.run()
    }

    /// How long the run may take.
    pub fn time_limit(&self) -> Duration {
        self.limit
    }

    /// Decodes a payload of JSON.
    ///
    /// # Errors
    /// `invalid_input` for a payload of another shape.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.claimed.job.payload)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "decode payload of job").with_source(error))
    }

    /// Waits until the run is to stop, and says why: `fenced`, as its claim was lost, and its end will be refused;
    /// `cancelled`, as somebody wants that or the worker ends; `deadline_exceeded`, as its time is over.
    pub async fn stopped(&self) -> Error {
        self.entry.stopped().await
    }
}
