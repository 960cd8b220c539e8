use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Filter, Metadata};
use crate::{Error, ErrorKind, Result, Tenant};

/// Names an entry among those of its tenant: 1 to 512 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryId(String);

impl EntryId {
    const MAX_BYTES: usize = 512;

    /// Checks the id.
    ///
    /// # Errors
    /// `invalid_input` for an empty or too long id, or one with control characters.
    pub fn new(id: impl Into<String>) -> Result<Self> {
        let id = id.into();
        if id.is_empty() || id.len() > Self::MAX_BYTES || id.chars().any(char::is_control) {
            return Err(Error::new(ErrorKind::InvalidInput, "read entry id").with_context("bytes", id.len()));
        }
        Ok(Self(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EntryId {
    type Error = Error;

    fn try_from(id: String) -> Result<Self> {
        Self::new(id)
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> Self {
        id.0
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of an entry, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryVersion(pub u64);

/// An entry to be put.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// Names it within its tenant.
    pub id: EntryId,
    /// The text.
    pub text: String,
    /// The vector; the client embeds the text where `None` and it has an embedder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// What filters see.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: Metadata,
}

impl Entry {
    /// A text without metadata.
    pub fn new(id: EntryId, text: impl Into<String>) -> Self {
        Self { id, text: text.into(), vector: None, metadata: Metadata::new() }
    }

    /// Sets the vector.
    #[must_use]
    pub fn with_vector(mut self, vector: Vec<f32>) -> Self {
        self.vector = Some(vector);
        self
    }

    /// Sets the metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StoredEntry {
    /// The entry; its vector is given where the request asks for vectors.
    pub entry: Entry,
    /// Its version.
    pub version: EntryVersion,
    /// When this version was put: microseconds since the Unix epoch.
    pub put_at: u64,
}

impl StoredEntry {
    /// A kept entry.
    pub fn new(entry: Entry, version: EntryVersion, put_at: u64) -> Self {
        Self { entry, version, put_at }
    }
}

/// Puts a batch of entries.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PutEntries {
    /// Whose.
    pub tenant: Tenant,
    /// The entries, each id once.
    pub entries: Vec<Entry>,
}

impl PutEntries {
    /// A batch.
    pub fn new(tenant: Tenant, entries: Vec<Entry>) -> Self {
        Self { tenant, entries }
    }
}

/// Deletes entries by id.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeleteEntries {
    /// Whose.
    pub tenant: Tenant,
    /// The ids.
    pub ids: Vec<EntryId>,
}

impl DeleteEntries {
    /// A batch.
    pub fn new(tenant: Tenant, ids: Vec<EntryId>) -> Self {
        Self { tenant, ids }
    }
}

/// Where a scan goes on: the last id of the page before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanCursor(pub EntryId);

/// Asks for a page of entries.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScanRequest {
    /// Whose.
    pub tenant: Tenant,
    /// Which; all where `None`.
    pub filter: Option<Filter>,
    /// Where to go on.
    pub after: Option<ScanCursor>,
    /// How many at most.
    pub limit: usize,
    /// Whether entries come with their vectors.
    pub vectors: bool,
}

impl ScanRequest {
    /// The first page of all entries, without vectors.
    pub fn new(tenant: Tenant, limit: usize) -> Self {
        Self { tenant, filter: None, after: None, limit, vectors: false }
    }

    /// Only entries that fit.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Goes on behind a page.
    #[must_use]
    pub fn after(mut self, cursor: ScanCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// With vectors.
    #[must_use]
    pub fn with_vectors(mut self) -> Self {
        self.vectors = true;
        self
    }
}

/// A page of a scan.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScanPage {
    /// The entries.
    pub entries: Vec<StoredEntry>,
    /// Where to go on; `None` behind the last one.
    pub next: Option<ScanCursor>,
}

impl ScanPage {
    /// A page.
    pub fn new(entries: Vec<StoredEntry>, next: Option<ScanCursor>) -> Self {
        Self { entries, next }
    }
}
