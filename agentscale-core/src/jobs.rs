//! Jobs: work that waits in a queue until a worker takes it.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use crate::checkpoint::Epoch;
pub use crate::ids::{JobKind, QueueName, UniqueKey};
use crate::{IdempotencyKey, Result, Tenant};

mod claim;
mod finish;
mod job;
mod limits;
mod read;
mod retry;

pub use claim::{ClaimJobs, ClaimedJob, Heartbeat, HeartbeatAnswer, Run, WorkerId};
pub use finish::{Cause, Finish, JobOutcome, MAX_CAUSE_BYTES, RunOutcome, fenced};
pub use job::{Enqueued, Idempotency, Job, JobId, JobStart, Unique, UniqueUntil};
pub(crate) use limits::LAST_START;
pub use limits::{
    DEFAULT_TTL, JobLimits, MAX_ATTEMPTS, MAX_TTL, MAX_WAIT, MIN_TTL, QueueCapabilities, check_ttl,
};
pub use read::{
    DeadJob, DeadJobCursor, DeadJobPage, DeadJobQuery, JobInfo, JobState, Maintained, QueueCounts,
    RecordedJob,
};
pub use retry::JobRetry;

/// Keeps jobs until they have been done.
///
/// A **job** is enqueued once and runs at least once: a worker claims it, says by heartbeats that it is at work, and
/// finishes it. A **run** is one such claim. Each takes a higher [`Epoch`] than all runs of the job before it, for ever, and
/// whatever a worker says about a run carries it: a worker that was frozen and thawed is refused, and told. Time is that
/// of the store, whatever the clocks of workers say.
///
/// ```text
///            ┌──────────── retry, snooze ───────────┐
///            ▼                                      │
/// enqueue ─► waiting ─ due ─► ready ─ claim ─► running ─► completed, cancelled
///                               ▲                   │
///                               └─ release, lost ───┴───► dead ─ redrive ─► ready
/// ```
///
/// # For callers
/// An enqueue whose answer was lost is repeated with the same [`JobId`]s: a job that the queue still holds is not added
/// again. What must not run again although it has ended takes an [`Idempotency`] key, which keeps the outcome as well.
///
/// A worker whose claim was answered to nobody loses those jobs after the time of the claim, as each run lives by being
/// named in a [`Heartbeat`]. A run that the heartbeat's answer names as lost stops. What it writes elsewhere is fenced by
/// the epoch, or harmless when done twice. A [`Finish`] that is repeated because its answer was lost is `fenced` where
/// the first one was carried out.
///
/// Each claim is an attempt, so that a job that kills its process ends in the dead letters; a run that is snoozed or
/// released gives its attempt back. The wait before the next attempt is the worker's to say, see [`Job::retry`].
///
/// A tenant is no part of the order: who must not wait behind others has queues of its own.
///
/// # For implementors
/// Each operation is atomic, `finish` for each finish alone. Epochs of one id do not repeat though the job ended and its
/// id was enqueued anew. Whatever time brings, due jobs, lost runs, is found by [`claim`](Self::claim) and
/// [`changed`](Self::changed) without anybody calling [`maintain`](Self::maintain). A run whose time is over is taken back
/// by whichever of these comes first, and its job is ready at once, or dead with [`Cause::lost`] after its last attempt;
/// until then its worker may finish it still. A host that keeps its own tables beside those of the queue enqueues in its
/// own transaction, by a method of the store's.
///
/// [`JobLimits::check`], [`check_ttl`] and [`fenced`] make the errors; the promises are the named tests of the conformance
/// suite (feature `conformance`).
///
/// # Cancel safety
/// A dropped future leaves the operation done or not done, never half done. Jobs that were claimed for nobody who listens
/// are lost runs.
#[async_trait]
pub trait JobQueue: Debug + Send + Sync + 'static {
    /// What it keeps, and its limits.
    fn capabilities(&self) -> QueueCapabilities;

    /// Adds jobs, all or none; the answers stand in their order. A later job of the list finds the earlier ones there.
    ///
    /// A job is not added where the queue holds one of its id, then where its idempotency key is known, then where its
    /// [`Unique`] key is held: the answer names the one that is there.
    ///
    /// # Errors
    /// `conflict` for an id or an idempotency key that was enqueued with other content (tenant, queue, kind or payload), its
    /// context names the `job`. `invalid_input` and `too_large` as [`JobLimits::check`] says.
    async fn enqueue(&self, jobs: Vec<Job>) -> Result<Vec<Enqueued>>;

    /// Takes jobs of one queue that are ready: class before class, within a class older before younger. Of every sixteen
    /// that are taken through a store one is the oldest whatever its class, so that none waits for ever.
    ///
    /// # Errors
    /// `invalid_input` for a limit of 0 and as [`check_ttl`] says. A limit above that of the store is taken for that one.
    async fn claim(&self, request: ClaimJobs) -> Result<Vec<ClaimedJob>>;

    /// Gives runs their time anew, from now on. One that is not named lives no longer for it.
    ///
    /// # Errors
    /// `invalid_input` as [`check_ttl`] says, `too_large` for too many runs.
    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer>;

    /// Ends runs, each for itself; the answers stand in their order and say where the job has come to: after its last
    /// attempt a retry is [`Dead`](JobState::Dead), and where a cancel was asked for it is
    /// [`Cancelled`](JobState::Cancelled), as a snooze is.
    ///
    /// # Errors
    /// Of one finish: `fenced` where its run is not under way: it has ended, was taken back, or there never was one; as
    /// [`JobLimits::check_finish`] says. Of all: `too_large` for too many; `unavailable` and what else befalls a store; they
    /// may have been carried out then.
    async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<JobState>>>;

    /// Waits until there may be something to claim in one of `queues`, and names those; none when `wait` is over.
    ///
    /// What can be claimed when it is called is found at once. That others take it first is no error.
    ///
    /// # Errors
    /// `invalid_input` for no queue.
    async fn changed(&self, queues: &[QueueName], wait: Duration) -> Result<Vec<QueueName>>;

    /// Ends a job that is not running: [`Cancelled`](JobState::Cancelled). One that is [`Running`](JobState::Running) is
    /// marked: its worker hears of it by the next heartbeat, and it does not run again. A dead one stays
    /// [`Dead`](JobState::Dead).
    ///
    /// # Errors
    /// `not_found` for a job that the tenant does not have, or no longer.
    async fn cancel(&self, tenant: &Tenant, id: JobId) -> Result<JobState>;

    /// What is known of a job.
    ///
    /// # Errors
    /// `not_found` for a job that the tenant does not have, or no longer.
    async fn read(&self, tenant: &Tenant, id: JobId) -> Result<JobInfo>;

    /// The job that was enqueued under an idempotency key; `None` where there was none, or its time is over.
    async fn outcome(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<Option<RecordedJob>>;

    /// How many jobs each queue holds, in the order of `queues`.
    async fn counts(&self, queues: &[QueueName]) -> Result<Vec<QueueCounts>>;

    /// Lists dead jobs, those that died first before others.
    async fn dead_letters(&self, query: DeadJobQuery) -> Result<DeadJobPage>;

    /// Makes dead jobs ready again with all their attempts; names those that were dead. The outcome under their
    /// idempotency key is open again; their unique key is not held any more.
    ///
    /// # Errors
    /// `too_large` for too many ids.
    async fn redrive(&self, tenant: &Tenant, ids: Vec<JobId>) -> Result<Vec<JobId>>;

    /// Forgets dead jobs; names those that were dead.
    ///
    /// # Errors
    /// `too_large` for too many ids.
    async fn discard(&self, tenant: &Tenant, ids: Vec<JobId>) -> Result<Vec<JobId>>;

    /// Removes what is kept for nobody any more, such as outcomes whose time is over, about `limit` things at most. Workers
    /// call it now and then.
    async fn maintain(&self, limit: usize) -> Result<Maintained>;
}

macro_rules! forward {
    ($($pointer:ident)*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: JobQueue + ?Sized> JobQueue for $pointer<T> {
            fn capabilities(&self) -> QueueCapabilities {
                (**self).capabilities()
            }
            async fn enqueue(&self, jobs: Vec<Job>) -> Result<Vec<Enqueued>> {
                (**self).enqueue(jobs).await
            }
            async fn claim(&self, request: ClaimJobs) -> Result<Vec<ClaimedJob>> {
                (**self).claim(request).await
            }
            async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer> {
                (**self).heartbeat(heartbeat).await
            }
            async fn finish(&self, finishes: Vec<Finish>) -> Result<Vec<Result<JobState>>> {
                (**self).finish(finishes).await
            }
            async fn changed(&self, queues: &[QueueName], wait: Duration) -> Result<Vec<QueueName>> {
                (**self).changed(queues, wait).await
            }
            async fn cancel(&self, tenant: &Tenant, id: JobId) -> Result<JobState> {
                (**self).cancel(tenant, id).await
            }
            async fn read(&self, tenant: &Tenant, id: JobId) -> Result<JobInfo> {
                (**self).read(tenant, id).await
            }
            async fn outcome(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<Option<RecordedJob>> {
                (**self).outcome(tenant, key).await
            }
            async fn counts(&self, queues: &[QueueName]) -> Result<Vec<QueueCounts>> {
                (**self).counts(queues).await
            }
            async fn dead_letters(&self, query: DeadJobQuery) -> Result<DeadJobPage> {
                (**self).dead_letters(query).await
            }
            async fn redrive(&self, tenant: &Tenant, ids: Vec<JobId>) -> Result<Vec<JobId>> {
                (**self).redrive(tenant, ids).await
            }
            async fn discard(&self, tenant: &Tenant, ids: Vec<JobId>) -> Result<Vec<JobId>> {
                (**self).discard(tenant, ids).await
            }
            async fn maintain(&self, limit: usize) -> Result<Maintained> {
                (**self).maintain(limit).await
            }
        }
    )*};
}

forward!(Arc Box);
