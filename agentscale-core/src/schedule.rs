//! Schedules: jobs that are enqueued when their time comes, or an event.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::jobs::{JobId, Maintained};
use crate::{Result, Tenant, Topic};

pub use crate::checkpoint::Epoch;
pub use crate::ids::ScheduleName;

mod definition;
mod fire;
mod info;
mod policy;
mod request;
mod timing;

pub use definition::{JobTemplate, Schedule, ScheduleKey};
pub use fire::{Firing, LATE_AFTER, LOOK_BACK, fire, is_late};
pub use info::{Execution, ExecutionOutcome, Fired, RunCounts, ScheduleInfo, SchedulePage, Tick};
pub use policy::{MAX_CATCH_UP, MissedRuns, Overlap};
pub use request::{
    Expected, HistoryCursor, HistoryQuery, ListSchedules, PutSchedule, Revision, ScheduleEvent,
};
pub use timing::{MAX_EXPRESSION_BYTES, MIN_INTERVAL, Timing, invalid};

/// The most schedules or lines of history of one page, schedules of one tick, and events of one trigger.
pub const MAX_PAGE: usize = 1_000;
/// The most jobs of one trigger.
pub const MAX_TRIGGERED: usize = 10_000;

/// Keeps schedules beside a queue of jobs, and enqueues what they are for.
///
/// A **schedule** has times, or a topic of events. When a time comes, a **tick** fires it: within one transaction it gets its
/// next time and its jobs are enqueued. So a time is fired once, however many instances tick, and whatever befalls them.
/// Time is that of the store, whatever the clocks of those who tick say.
///
/// # For callers
/// Somebody has to tick: the scheduler of `agentscale-runtime` does. An event that is brought again, because the answer
/// was lost, enqueues no second job while the queue holds the first one.
///
/// The version-7 time of a job's id is that of its run, in milliseconds.
///
/// # For implementors
/// Each operation is atomic. [`fire`] decides what a firing does. Revisions and epochs ascend for ever, though a schedule is
/// deleted and made anew. A schedule that cannot be read stops no other one. The promises are the named tests of the
/// conformance suite (feature `conformance`).
///
/// # Cancel safety
/// A dropped future leaves the operation done or not done, never half done.
#[async_trait]
pub trait ScheduleStore: Debug + Send + Sync + 'static {
    /// Stores a schedule. What is there already is left as it is, its next time, too; a new timing counts from now on. A
    /// paused schedule stays paused.
    ///
    /// # Errors
    /// `conflict` where something else than expected is there, its context names the `revision`. `invalid_input` that names
    /// the `field`: no expression, no zone, never runs, a single run longer ago than [`LOOK_BACK`]. `invalid_input` and
    /// `too_large` for a job that the queue would refuse.
    async fn put(&self, request: PutSchedule) -> Result<ScheduleInfo>;

    /// A schedule; `None` where there is none.
    async fn get(&self, key: &ScheduleKey) -> Result<Option<ScheduleInfo>>;

    /// The schedules of a tenant, by name.
    async fn list(&self, request: ListSchedules) -> Result<SchedulePage>;

    /// Lets a schedule stand still. Times that pass meanwhile are not missed.
    ///
    /// # Errors
    /// `not_found`.
    async fn pause(&self, key: &ScheduleKey) -> Result<ScheduleInfo>;

    /// Lets a schedule go on with its first time after now; a single run that has passed does not come any more.
    ///
    /// # Errors
    /// `not_found`.
    async fn resume(&self, key: &ScheduleKey) -> Result<ScheduleInfo>;

    /// Forgets a schedule; its jobs stay. Whether there was one.
    ///
    /// # Errors
    /// `conflict` where it has another version than the one that is named.
    async fn delete(&self, key: &ScheduleKey, expected: Option<Revision>) -> Result<bool>;

    /// Fires up to `limit` schedules that are due, those first that are due longest; others that tick get others.
    async fn tick(&self, limit: usize) -> Result<Tick>;

    /// Enqueues what waits for these events, all or none; the answers stand in their order and name the jobs.
    ///
    /// # Errors
    /// `too_large` for a body that the queue would refuse, for more than [`MAX_PAGE`] events or [`MAX_TRIGGERED`] jobs.
    async fn trigger(&self, events: Vec<ScheduleEvent>) -> Result<Vec<Vec<JobId>>>;

    /// The topics that schedules wait for, in ascending order, behind the one that is named; up to [`MAX_PAGE`].
    async fn topics(&self, after: Option<(Tenant, Topic)>) -> Result<Vec<(Tenant, Topic)>>;

    /// What a schedule did, the latest first.
    async fn history(&self, query: HistoryQuery) -> Result<Vec<Execution>>;

    /// Removes what is kept for nobody any more, about `limit` lines of history at most, and makes room for what is to come.
    async fn maintain(&self, limit: usize) -> Result<Maintained>;
}

macro_rules! forward {
    ($($pointer:ident)*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: ScheduleStore + ?Sized> ScheduleStore for $pointer<T> {
            async fn put(&self, request: PutSchedule) -> Result<ScheduleInfo> {
                (**self).put(request).await
            }
            async fn get(&self, key: &ScheduleKey) -> Result<Option<ScheduleInfo>> {
                (**self).get(key).await
            }
            async fn list(&self, request: ListSchedules) -> Result<SchedulePage> {
                (**self).list(request).await
            }
            async fn pause(&self, key: &ScheduleKey) -> Result<ScheduleInfo> {
                (**self).pause(key).await
            }
            async fn resume(&self, key: &ScheduleKey) -> Result<ScheduleInfo> {
                (**self).resume(key).await
            }
            async fn delete(&self, key: &ScheduleKey, expected: Option<Revision>) -> Result<bool> {
                (**self).delete(key, expected).await
            }
            async fn tick(&self, limit: usize) -> Result<Tick> {
                (**self).tick(limit).await
            }
            async fn trigger(&self, events: Vec<ScheduleEvent>) -> Result<Vec<Vec<JobId>>> {
                (**self).trigger(events).await
            }
            async fn topics(&self, after: Option<(Tenant, Topic)>) -> Result<Vec<(Tenant, Topic)>> {
                (**self).topics(after).await
            }
            async fn history(&self, query: HistoryQuery) -> Result<Vec<Execution>> {
                (**self).history(query).await
            }
            async fn maintain(&self, limit: usize) -> Result<Maintained> {
                (**self).maintain(limit).await
            }
        }
    )*};
}

forward!(Arc Box);
