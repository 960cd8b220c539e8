//! Knowledge: entries with text, metadata and a vector, found by words or by likeness.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Result;

mod embedder;
mod entry;
mod filter;
mod query;

pub use embedder::{Embedder, ProviderEmbedder};
pub use entry::{
    DeleteEntries, Entry, EntryId, EntryVersion, PutEntries, ScanCursor, ScanPage, ScanRequest, StoredEntry,
};
pub use filter::{Filter, Metadata, MetadataValue};
pub use query::{Consistency, Hit, KnowledgeQuery, Lag, Purpose, QueryCursor, QueryResult, Seek};

use crate::Tenant;

/// What a [`KnowledgeClient`] can do beyond its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnowledgeCapabilities {
    /// The length of its vectors; `None` where it takes any.
    pub dimensions: Option<u32>,
    /// Finds by words.
    pub words: bool,
    /// Answers as of an earlier time.
    pub as_of: bool,
    /// The longest text of an entry in bytes.
    pub max_text_bytes: usize,
}

impl KnowledgeCapabilities {
    /// Capabilities of a store that finds by vector alone, texts up to 1 MiB.
    pub fn new(dimensions: Option<u32>) -> Self {
        Self { dimensions, words: false, as_of: false, max_text_bytes: 1 << 20 }
    }

    /// Finds by words too.
    #[must_use]
    pub fn with_words(mut self) -> Self {
        self.words = true;
        self
    }

    /// Answers as of an earlier time.
    #[must_use]
    pub fn with_as_of(mut self) -> Self {
        self.as_of = true;
        self
    }
}

/// Keeps and finds entries of knowledge.
///
/// # For callers
/// A tenant is a hard partition: no request sees or changes another tenant's entries. `limit` is a contract:
/// when `limit` entries fit the query's filter, so many come back, unless the answer says `partial`.
///
/// # For implementors
/// `query` keeps its signature over every backend. What was put is found by queries of
/// [`Consistency::Strong`] at once, by others within the lag that the answer states. A batch is put as a whole or
/// not at all. Scans take constant memory. The promises are the named tests of the conformance suite.
///
/// # Cancel safety
/// A dropped `put` or `delete` is done as a whole or not at all.
#[async_trait]
pub trait KnowledgeClient: Debug + Send + Sync + 'static {
    /// What this client can do.
    fn capabilities(&self) -> KnowledgeCapabilities;

    /// Finds entries, best first.
    ///
    /// # Errors
    /// `invalid_input` for a vector of another length or a cursor of another query; `unsupported` for words or
    /// an earlier time where the capabilities do not name them.
    async fn query(&self, query: KnowledgeQuery) -> Result<QueryResult>;

    /// Puts entries; an id that exists gets a new version.
    ///
    /// # Errors
    /// `invalid_input` for a vector of another length or an id given twice; `too_large` for a text over the limit.
    async fn put(&self, request: PutEntries) -> Result<Vec<EntryVersion>>;

    /// The newest version of an entry; `None` where there is none.
    async fn get(&self, tenant: &Tenant, id: &EntryId) -> Result<Option<StoredEntry>>;

    /// Deletes entries with their history, and says how many there were. Unknown ids are passed over.
    async fn delete(&self, request: DeleteEntries) -> Result<u64>;

    /// The versions of an entry, newest first.
    async fn history(&self, tenant: &Tenant, id: &EntryId, limit: usize) -> Result<Vec<StoredEntry>>;

    /// Entries of a tenant in the order of their ids, a page at a time.
    async fn scan(&self, request: ScanRequest) -> Result<ScanPage>;
}

macro_rules! forward {
    ($pointer:ident) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: KnowledgeClient + ?Sized> KnowledgeClient for $pointer<T> {
            fn capabilities(&self) -> KnowledgeCapabilities {
                (**self).capabilities()
            }
            async fn query(&self, query: KnowledgeQuery) -> Result<QueryResult> {
                (**self).query(query).await
            }
            async fn put(&self, request: PutEntries) -> Result<Vec<EntryVersion>> {
                (**self).put(request).await
            }
            async fn get(&self, tenant: &Tenant, id: &EntryId) -> Result<Option<StoredEntry>> {
                (**self).get(tenant, id).await
            }
            async fn delete(&self, request: DeleteEntries) -> Result<u64> {
                (**self).delete(request).await
            }
            async fn history(&self, tenant: &Tenant, id: &EntryId, limit: usize) -> Result<Vec<StoredEntry>> {
                (**self).history(tenant, id, limit).await
            }
            async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
                (**self).scan(request).await
            }
        }
    };
}

forward!(Arc);
forward!(Box);
