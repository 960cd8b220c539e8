use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Schedule, ScheduleKey, ScheduleName};
use crate::{Tenant, Topic, TraceContext};

/// The version of what was said about a schedule: no other of the store has the same, and later ones are higher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

/// What has to be there for a schedule to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Expected {
    /// Anything or nothing.
    #[default]
    Any,
    /// No schedule of this name.
    Absent,
    /// This version.
    Revision(Revision),
}

/// Stores a schedule.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PutSchedule {
    /// The schedule.
    pub schedule: Schedule,
    /// What has to be there.
    pub expected: Expected,
}

impl PutSchedule {
    /// Stores it whatever is there.
    pub fn new(schedule: Schedule) -> Self {
        Self { schedule, expected: Expected::Any }
    }

    /// Stores it only where this is there.
    #[must_use]
    pub fn expecting(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }
}

/// Asks for the schedules of a tenant, by name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListSchedules {
    /// Whose.
    pub tenant: Tenant,
    /// Behind this one.
    pub after: Option<ScheduleName>,
    /// How many, at most; 0 is one, above 1,000 is 1,000.
    pub limit: usize,
}

impl ListSchedules {
    /// The first `limit` schedules.
    pub fn new(tenant: Tenant, limit: usize) -> Self {
        Self { tenant, after: None, limit }
    }

    /// Goes on where a page ended.
    #[must_use]
    pub fn after(mut self, name: ScheduleName) -> Self {
        self.after = Some(name);
        self
    }
}

/// An event that schedules may wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleEvent {
    /// The same when the event comes again.
    pub id: Uuid,
    /// Whose it is.
    pub tenant: Tenant,
    /// What it is about.
    pub topic: Topic,
    /// Its body.
    pub payload: Bytes,
    /// The trace that it belongs to.
    pub trace: Option<TraceContext>,
}

impl ScheduleEvent {
    /// An event.
    pub fn new(id: Uuid, tenant: Tenant, topic: Topic, payload: impl Into<Bytes>) -> Self {
        Self { id, tenant, topic, payload: payload.into(), trace: None }
    }

    /// Makes its jobs part of a trace.
    #[must_use]
    pub fn with_trace(mut self, trace: Option<TraceContext>) -> Self {
        self.trace = trace;
        self
    }
}

/// Asks for what a schedule did, the latest first.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryQuery {
    /// The schedule.
    pub key: ScheduleKey,
    /// Before this one.
    pub before: Option<HistoryCursor>,
    /// How many, at most; 0 is one, above 1,000 is 1,000.
    pub limit: usize,
}

impl HistoryQuery {
    /// The latest `limit`.
    pub fn new(key: ScheduleKey, limit: usize) -> Self {
        Self { key, before: None, limit }
    }

    /// Goes on where a page ended.
    #[must_use]
    pub fn before(mut self, cursor: HistoryCursor) -> Self {
        self.before = Some(cursor);
        self
    }
}

/// Where a history goes on; its meaning is the store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryCursor(pub i64);
