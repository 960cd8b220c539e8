//! Begins claimed jobs, so many at once, and ends them.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::jobs::{Cause, ClaimedJob, Finish};
use agentscale_core::{Error, ErrorKind, Result};
use futures::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

use super::finisher::Ended;
use super::handler::{JobEnd, JobRun};
use super::runs::Entry;
use super::shared::Shared;

/// A job that this worker has.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) job: Arc<ClaimedJob>,
    pub(super) entry: Arc<Entry>,
}

/// Runs until the worker closes; what was not begun then is released.
pub(super) async fn run(shared: Arc<Shared>, mut local: mpsc::Receiver<Claimed>) {
    let places = Arc::new(Semaphore::new(shared.config.concurrency.min(Semaphore::MAX_PERMITS)));
    loop {
        let place = shared.closing.run_until_cancelled(places.clone().acquire_owned()).await;
        let Some(Ok(place)) = place else { break };
        let Some(Some(claimed)) = shared.closing.run_until_cancelled(local.recv()).await else { break };
        shared.tasks.spawn(shared.clone().while_alive(begin(shared.clone(), claimed, place)));
    }
    while let Some(claimed) = local.recv().await {
        shared.release(claimed).await;
    }
}

async fn begin(shared: Arc<Shared>, claimed: Claimed, place: OwnedSemaphorePermit) {
    let Claimed { job, entry } = claimed;
    shared.watch.began(&job);
    let started = Instant::now();
    let (finish, failed) = match handle(&shared, &job, &entry).await {
        Some((finish, failed)) => (Some(finish), failed),
        None => (None, Some(ErrorKind::Fenced)),
    };
    shared.watch.ran(&job, started.elapsed());
    shared.end(Ended { job, entry, finish, failed }).await;
    drop(place);
}

/// The end of a run and the kind of its error; `None` where it is nobody's business any more.
async fn handle(
    shared: &Shared,
    job: &Arc<ClaimedJob>,
    entry: &Arc<Entry>,
) -> Option<(Finish, Option<ErrorKind>)> {
    let limit = job.job.timeout.unwrap_or(shared.config.run_timeout);
    let run = JobRun::new(job.clone(), limit, entry.clone());
    let work = AssertUnwindSafe(call(shared, run)).catch_unwind();
    tokio::pin!(work);
    let stopped = tokio::select! {
        biased;
        reason = entry.stopped() => reason,
        ended = &mut work => return Some(end(job, ended.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))))),
        () = sleep(limit) => {
            entry.stop(super::late("run job", limit));
            entry.stopped().await
        }
    };
    // One that ends by itself when it hears of it may say how.
    if let Ok(Ok(Ok(ended))) = timeout(shared.config.stop_grace, work).await
        && stopped.kind() != ErrorKind::Fenced
    {
        return Some(end(job, Ok(ended)));
    }
    match stopped.kind() {
        ErrorKind::Fenced => None,
        ErrorKind::DeadlineExceeded => Some(end(job, Err(stopped))),
        _ if shared.is_stopped() => Some((Finish::release(job.run()), None)),
        _ => Some((Finish::cancelled(job.run()), None)),
    }
}

async fn call(shared: &Shared, run: JobRun) -> Result<JobEnd> {
    match shared.handlers.get(&run.job().kind) {
        Some(handler) => handler.handle(run).await,
        None => Err(Error::new(ErrorKind::Unsupported, "run job")
            .with_context("job_kind", &run.job().kind)
            .with_context("reason", "no handler")),
    }
}

fn end(job: &ClaimedJob, ended: Result<JobEnd>) -> (Finish, Option<ErrorKind>) {
    let run = job.run();
    match ended {
        Ok(JobEnd::Done(result)) => (Finish::completed(run, result), None),
        Ok(JobEnd::Snooze(wait)) => (Finish::snooze(run, wait), None),
        Ok(JobEnd::Dead(cause)) => (Finish::dead(run, cause), None),
        Err(error) => {
            let wait = job.job.retry.delay(run.id, job.attempt);
            let wait = wait.max(error.retry_after().unwrap_or(Duration::ZERO));
            (Finish::retry(run, Cause::from(&error), wait), Some(error.kind()))
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref().map(String::as_str));
    Error::new(ErrorKind::Internal, "run job")
        .with_context("panicked", message.unwrap_or("without a message"))
}
