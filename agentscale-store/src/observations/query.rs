use std::fmt;
use std::str::FromStr;

use agentscale_core::observe::{Observation, ObservationLevel};
use agentscale_core::{Address, Error, ErrorKind, Result, TaskName, Tenant, TraceId};
use serde::{Deserialize, Serialize};

use super::ObservationRecord;
use super::record::key_of;
use super::words::words;

/// The largest page.
const MOST: usize = 1_000;

/// Which observations are wanted: those of one tenant that fit all that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservationQuery {
    pub(crate) tenant: Option<Tenant>,
    pub(crate) trace: Option<TraceId>,
    pub(crate) task: Option<TaskName>,
    pub(crate) agent: Option<Address>,
    pub(crate) level: ObservationLevel,
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) text: Option<String>,
    pub(crate) after: Option<ObservationCursor>,
    pub(crate) order: ObservationOrder,
    pub(crate) limit: usize,
}

/// In which order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObservationOrder {
    /// What happened before comes before, by the stamps of the hybrid clocks, whatever arrived first.
    #[default]
    Causal,
    /// The same from its end.
    LatestFirst,
}

impl ObservationQuery {
    /// Those of a tenant, 100 at a time.
    pub fn of(tenant: Tenant) -> Self {
        Self::new(Some(tenant))
    }

    /// Those that belong to no tenant, such as the log's own.
    pub fn of_no_tenant() -> Self {
        Self::new(None)
    }

    fn new(tenant: Option<Tenant>) -> Self {
        Self {
            tenant,
            trace: None,
            task: None,
            agent: None,
            level: ObservationLevel::Debug,
            from: 0,
            until: u64::MAX,
            text: None,
            after: None,
            order: ObservationOrder::Causal,
            limit: 100,
        }
    }

    /// Of one trace.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceId) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Of one piece of work.
    #[must_use]
    pub fn with_task(mut self, task: TaskName) -> Self {
        self.task = Some(task);
        self
    }

    /// About one agent.
    #[must_use]
    pub fn with_agent(mut self, agent: Address) -> Self {
        self.agent = Some(agent);
        self
    }

    /// Of this level and those above.
    #[must_use]
    pub fn with_level(mut self, least: ObservationLevel) -> Self {
        self.level = least;
        self
    }

    /// From one moment until before another, in microseconds since the Unix epoch.
    #[must_use]
    pub fn between(mut self, from: u64, until: u64) -> Self {
        (self.from, self.until) = (from, until);
        self
    }

    /// With all words of a text in its name and texts, whatever their case and order.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Those behind a page that was read.
    #[must_use]
    pub fn after(mut self, cursor: ObservationCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// The order that they come in.
    #[must_use]
    pub fn in_order(mut self, order: ObservationOrder) -> Self {
        self.order = order;
        self
    }

    /// How many a page has, 1 to 1,000.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The first moment and the one behind the last, as far as the cursor leaves them.
    pub(crate) fn range(&self) -> (i64, i64) {
        let bound = |micros: u64| i64::try_from(micros).unwrap_or(i64::MAX);
        let (from, until) = (bound(self.from), bound(self.until));
        match (&self.after, self.order) {
            (None, _) => (from, until),
            (Some(cursor), ObservationOrder::Causal) => (from.max(cursor.at), until),
            (Some(cursor), ObservationOrder::LatestFirst) => (from, until.min(cursor.at.saturating_add(1))),
        }
    }

    /// # Errors
    /// `invalid_input` for a limit out of bounds, for a time that ends before it begins, and for a text without a word.
    pub(crate) fn checked_words(&self) -> Result<Option<Vec<String>>> {
        let invalid = |reason: &'static str| {
            Error::new(ErrorKind::InvalidInput, "query observations").with_context("reason", reason)
        };
        if self.limit == 0 || self.limit > MOST {
            return Err(invalid("a page has 1 to 1,000"));
        }
        if self.from > self.until {
            return Err(invalid("the time ends before it begins"));
        }
        let Some(text) = &self.text else { return Ok(None) };
        let words: Vec<_> = words(text).collect();
        if words.is_empty() {
            return Err(invalid("the text has no word"));
        }
        Ok(Some(words))
    }
}

/// Observations of a query.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ObservationPage {
    /// In the order of the query.
    pub observations: Vec<Observation>,
    /// Where the next page begins; `None` behind the last one.
    pub next: Option<ObservationCursor>,
}

impl ObservationPage {
    /// A page of what was found: one record more than the limit says that there is a next one.
    pub(crate) fn of(mut records: Vec<ObservationRecord>, limit: usize) -> Self {
        let is_more = records.len() > limit;
        records.truncate(limit);
        let next = records.last().filter(|_| is_more).map(ObservationCursor::of);
        Self { observations: records.into_iter().map(|record| record.observation).collect(), next }
    }
}

/// A place between two observations; opaque as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObservationCursor {
    pub(crate) at: i64,
    pub(crate) counter: i16,
    pub(crate) node: i64,
    pub(crate) writer: i64,
    pub(crate) number: i64,
}

impl ObservationCursor {
    fn of(record: &ObservationRecord) -> Self {
        let (at, counter, node) = key_of(record.observation.stamp);
        let (writer, number) = (record.writer.cast_signed(), record.number.cast_signed());
        Self { at, counter, node, writer, number }
    }
}

impl fmt::Display for ObservationCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}.{:x}.{:x}.{:x}", self.at, self.counter, self.node, self.writer, self.number)
    }
}

/// `invalid_input` for what is no cursor.
impl FromStr for ObservationCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Option<Vec<u64>> =
            text.split('.').map(|part| u64::from_str_radix(part, 16).ok()).collect();
        let read = |parts: &[u64]| {
            let &[at, counter, node, writer, number] = parts else { return None };
            let counter = i16::try_from(counter).ok()?;
            let [at, node, writer, number] = [at, node, writer, number].map(u64::cast_signed);
            Some(Self { at, counter, node, writer, number })
        };
        parts
            .and_then(|parts| read(&parts))
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "read observation cursor"))
    }
}

impl TryFrom<String> for ObservationCursor {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ObservationCursor> for String {
    fn from(cursor: ObservationCursor) -> Self {
        cursor.to_string()
    }
}
