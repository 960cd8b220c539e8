use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Filter, StoredEntry};
use crate::Tenant;

/// What to look for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Seek {
    /// A text: by its words, and by its vector where the client has an embedder.
    Text(String),
    /// A vector.
    Vector(Vec<f32>),
}

/// How fresh an answer must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Consistency {
    /// May lag behind the writes; the answer says by how much.
    #[default]
    Eventual,
    /// Sees every put that was acknowledged before the query.
    Strong,
}

/// What an answer is for, so that a backend of several tiers can choose one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Purpose {
    /// An agent reasons with it now.
    #[default]
    Reasoning,
    /// Reports and statistics.
    Analytics,
    /// Measuring agents.
    Evaluation,
}

/// Asks for entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct KnowledgeQuery {
    /// Whose.
    pub tenant: Tenant,
    /// What to look for.
    pub seek: Seek,
    /// Which entries; all where `None`.
    pub filter: Option<Filter>,
    /// How many: 10 by default.
    pub limit: usize,
    /// As the entries stood then: microseconds since the Unix epoch; now where `None`.
    pub as_of: Option<u64>,
    /// How fresh.
    pub consistency: Consistency,
    /// What for.
    pub purpose: Purpose,
    /// Where to go on.
    pub after: Option<QueryCursor>,
}

impl KnowledgeQuery {
    /// A query by text.
    pub fn text(tenant: Tenant, text: impl Into<String>) -> Self {
        Self::new(tenant, Seek::Text(text.into()))
    }

    /// A query by vector.
    pub fn vector(tenant: Tenant, vector: Vec<f32>) -> Self {
        Self::new(tenant, Seek::Vector(vector))
    }

    fn new(tenant: Tenant, seek: Seek) -> Self {
        Self {
            tenant,
            seek,
            filter: None,
            limit: 10,
            as_of: None,
            consistency: Consistency::default(),
            purpose: Purpose::default(),
            after: None,
        }
    }

    /// Only entries that fit.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// So many entries.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// As the entries stood at `unix_micros`.
    #[must_use]
    pub fn as_of(mut self, unix_micros: u64) -> Self {
        self.as_of = Some(unix_micros);
        self
    }

    /// How fresh.
    #[must_use]
    pub fn with_consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// What for.
    #[must_use]
    pub fn with_purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Goes on behind a result.
    #[must_use]
    pub fn after(mut self, cursor: QueryCursor) -> Self {
        self.after = Some(cursor);
        self
    }
}

/// An entry that was found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The entry, without its vector.
    pub entry: StoredEntry,
    /// Higher is better; comparable within one result only.
    pub score: f32,
}

impl Hit {
    /// A hit.
    pub fn new(entry: StoredEntry, score: f32) -> Self {
        Self { entry, score }
    }
}

/// How far an answer may be behind the writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag(pub Duration);

/// Where a query goes on; its meaning is the client's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryCursor(pub String);

/// What was found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueryResult {
    /// The entries, best first.
    pub hits: Vec<Hit>,
    /// Whether a part of the knowledge could not be asked.
    pub partial: bool,
    /// How far behind the writes.
    pub lag: Lag,
    /// Where to go on; `None` behind the last one.
    pub next: Option<QueryCursor>,
}

impl QueryResult {
    /// A whole answer without lag.
    pub fn new(hits: Vec<Hit>, next: Option<QueryCursor>) -> Self {
        Self { hits, partial: false, lag: Lag::default(), next }
    }
}
