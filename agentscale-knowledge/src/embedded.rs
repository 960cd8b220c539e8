//! Knowledge in one folder: SQLite for what is kept, an approximate index for what is alike.

mod config;
mod cursor;
mod filter;
mod follow;
mod merge;
mod query;
mod rows;
mod schema;
mod select;
mod transaction;
mod write;
mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agentscale_core::knowledge::{
    DeleteEntries, Embedder, Entry, EntryId, EntryVersion, KnowledgeCapabilities, KnowledgeClient,
    KnowledgeQuery, MetadataValue, PutEntries, QueryResult, ScanCursor, ScanPage, ScanRequest, StoredEntry,
};
use agentscale_core::{Error, ErrorKind, Result, Tenant};
use async_trait::async_trait;
use sqlx::SqlitePool;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

pub use self::config::{EmbeddedBuilder, EmbeddedConfig};
use self::merge::Merger;
use self::select::Scope;
use self::writer::{Task, Writer};
use crate::index::{VectorIndex, vector};

/// How many texts go to the embedder at a time.
const EMBED_TOGETHER: usize = 128;
/// The most entries of a page, however many a scan asks for: its memory is bounded.
const PAGE: usize = 1_000;

/// Knowledge in one folder of this machine.
///
/// SQLite holds entries, versions, metadata and words, and is the truth. The vectors of the newest
/// versions are in an index beside it, which follows the database and is derived again where it is
/// missing, unreadable or does not fit. A put is acknowledged when both have it.
///
/// A query by text ranks by words (BM25) and, with an embedder, by vector, and fuses the two ranks. Where
/// both rank fewer entries than asked for, others that fit the filter follow, with the lowest score. Pages
/// behind a cursor are ranked anew: what is written meanwhile may move an entry from one to the other.
///
/// One process at a time opens a folder. Dropping it ends its two tasks after what they are at;
/// [`EmbeddedKnowledge::close`] waits for that.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentscale_core::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// use agentscale_core::Tenant;
/// use agentscale_core::knowledge::{Entry, EntryId, KnowledgeClient, KnowledgeQuery, PutEntries};
/// use agentscale_knowledge::{EmbeddedKnowledge, LexicalEmbedder};
///
/// let knowledge = EmbeddedKnowledge::builder(folder.path()).embedder(LexicalEmbedder::default()).open().await?;
/// let tenant = Tenant::new("acme")?;
/// let entry = Entry::new(EntryId::new("leases")?, "a lease gives liveness, an epoch gives safety");
/// knowledge.put(PutEntries::new(tenant.clone(), vec![entry])).await?;
///
/// let found = knowledge.query(KnowledgeQuery::text(tenant, "what gives safety?")).await?;
/// assert_eq!(found.hits[0].entry.entry.id.as_str(), "leases");
/// # knowledge.close().await
/// # }
/// ```
#[derive(Debug)]
pub struct EmbeddedKnowledge {
    writer: Writer,
    readers: SqlitePool,
    index: Arc<VectorIndex>,
    embedder: Option<Arc<dyn Embedder>>,
    dimensions: u32,
    max_text_bytes: usize,
    search_slots: Arc<Semaphore>,
    outgrown: Arc<Notify>,
    closing: Arc<AtomicBool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl EmbeddedKnowledge {
    /// Begins to open `folder`, which is created where it is missing.
    pub fn builder(folder: impl Into<PathBuf>) -> EmbeddedBuilder {
        EmbeddedBuilder::new(folder.into())
    }

    async fn open(builder: EmbeddedBuilder) -> Result<Self> {
        let lock = Arc::new(lock(&builder).await?);
        let mut database = schema::open(&builder.folder.join("knowledge.db"), &builder).await?;
        let folder = builder.folder.join("vectors");
        let config = builder.config.index(builder.dimensions);
        let index = follow::open_index(&folder, &database.identity, &config, &mut database.writer).await?;
        follow::follow(&mut database.writer, &index).await?;

        let outgrown = Arc::new(Notify::new());
        let closing = Arc::new(AtomicBool::new(false));
        let (writer, writing) = Writer::start(Task {
            connection: database.writer,
            index: index.clone(),
            clock: builder.clock,
            keep_versions: builder.config.keep_versions,
            outgrown: outgrown.clone(),
            lock: lock.clone(),
        });
        let merger =
            Merger { index: index.clone(), outgrown: outgrown.clone(), closing: closing.clone(), lock };
        Ok(Self {
            writer,
            readers: database.readers,
            index,
            embedder: builder.embedder,
            dimensions: builder.dimensions,
            max_text_bytes: builder.config.max_text_bytes,
            search_slots: Arc::new(Semaphore::new(builder.config.search_threads.max(1))),
            outgrown,
            closing,
            tasks: Mutex::new(vec![writing, merger.start()]),
        })
    }

    /// Ends what runs in the background, after the writes that were queued, and lets go of the folder.
    ///
    /// # Errors
    /// `internal` when a task had panicked.
    pub async fn close(self) -> Result<()> {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        // The writing connection closes last: it then folds SQLite's log into the database.
        self.readers.close().await;
        drop(self);
        for task in tasks {
            task.await
                .map_err(|error| Error::new(ErrorKind::Internal, "close knowledge").with_source(error))?;
        }
        Ok(())
    }

    /// Embeds what comes without a vector and refuses what cannot be kept.
    async fn prepared(&self, entries: Vec<Entry>) -> Result<Vec<Entry>> {
        let mut ids = HashSet::new();
        for entry in &entries {
            self.check(entry)?;
            if !ids.insert(entry.id.as_str()) {
                return Err(refused(ErrorKind::InvalidInput, &entry.id, "the id is given twice"));
            }
        }
        drop(ids);
        let Some(embedder) = &self.embedder else { return Ok(entries) };
        let mut entries = entries;
        let mut bare: Vec<&mut Entry> = entries.iter_mut().filter(|entry| entry.vector.is_none()).collect();
        for bare in bare.chunks_mut(EMBED_TOGETHER) {
            let texts = bare.iter().map(|entry| entry.text.clone()).collect();
            let vectors = embedder.embed(texts).await?;
            for (entry, vector) in bare.iter_mut().zip(vectors) {
                if vector.len() != self.dimensions as usize || vector::unit(&vector).is_none() {
                    return Err(refused(
                        ErrorKind::Corrupt,
                        &entry.id,
                        "the embedder gave an unusable vector",
                    ));
                }
                entry.vector = Some(vector);
            }
        }
        Ok(entries)
    }

    fn check(&self, entry: &Entry) -> Result<()> {
        if entry.text.len() > self.max_text_bytes {
            return Err(refused(ErrorKind::TooLarge, &entry.id, "the text is too long")
                .with_context("bytes", entry.text.len())
                .with_context("limit", self.max_text_bytes));
        }
        if let Some(vector) = &entry.vector
            && (vector.len() != self.dimensions as usize || vector::unit(vector).is_none())
        {
            return Err(refused(ErrorKind::InvalidInput, &entry.id, "the vector has another length or none")
                .with_context("expected dimensions", self.dimensions)
                .with_context("dimensions", vector.len()));
        }
        let storable = |value: &MetadataValue| match value {
            MetadataValue::Float(number) => !number.is_nan(),
            MetadataValue::Bool(_) | MetadataValue::Int(_) | MetadataValue::Text(_) => true,
            _ => false,
        };
        match entry.metadata.iter().find(|(_, value)| !storable(value)) {
            Some((name, _)) => Err(refused(ErrorKind::InvalidInput, &entry.id, "metadata that is no value")
                .with_context("field", name)),
            None => Ok(()),
        }
    }
}

impl Drop for EmbeddedKnowledge {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        self.outgrown.notify_one();
    }
}

#[async_trait]
impl KnowledgeClient for EmbeddedKnowledge {
    fn capabilities(&self) -> KnowledgeCapabilities {
        let mut capabilities = KnowledgeCapabilities::new(Some(self.dimensions)).with_words().with_as_of();
        capabilities.max_text_bytes = self.max_text_bytes;
        capabilities
    }

    async fn query(&self, query: KnowledgeQuery) -> Result<QueryResult> {
        self.find(&query).await
    }

    async fn put(&self, request: PutEntries) -> Result<Vec<EntryVersion>> {
        let entries = self.prepared(request.entries).await?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        self.writer.put(request.tenant, entries).await
    }

    async fn get(&self, tenant: &Tenant, id: &EntryId) -> Result<Option<StoredEntry>> {
        let key = (tenant.as_str(), id.as_str());
        Ok(select::versions(&self.readers, key, 1, "get knowledge").await?.pop())
    }

    async fn delete(&self, request: DeleteEntries) -> Result<u64> {
        self.writer.delete(request.tenant, request.ids).await
    }

    async fn history(&self, tenant: &Tenant, id: &EntryId, limit: usize) -> Result<Vec<StoredEntry>> {
        let key = (tenant.as_str(), id.as_str());
        select::versions(&self.readers, key, limit, "read history of knowledge").await
    }

    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        request.filter.as_ref().map_or(Ok(()), filter::check)?;
        let tenant = select::tenant(&self.readers, request.tenant.as_str()).await?;
        let Some(tenant) = tenant.filter(|_| request.limit > 0) else {
            return Ok(ScanPage::new(Vec::new(), None));
        };
        let scope = Scope { tenant, as_of: None, filter: request.filter.as_ref() };
        let after = request.after.as_ref().map(|cursor| cursor.0.as_str());
        let limit = request.limit.min(PAGE);
        let mut entries = select::page(&self.readers, scope, (after, limit + 1, request.vectors)).await?;
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|last| ScanCursor(last.entry.id.clone()));
        Ok(ScanPage::new(entries, next))
    }
}

/// Takes the folder for this process, waiting a little for an owner that is about to let go.
async fn lock(builder: &EmbeddedBuilder) -> Result<File> {
    let path = builder.folder.join("lock");
    let failed = |error: std::io::Error| unusable(&builder.folder, error);
    std::fs::create_dir_all(&builder.folder).map_err(failed)?;
    let file = File::create(&path).map_err(failed)?;
    let until = Instant::now() + builder.config.lock_wait();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() >= until => {
                return Err(Error::new(ErrorKind::AlreadyExists, "open knowledge")
                    .with_context("reason", "in use")
                    .with_context("path", builder.folder.display()));
            }
            Err(std::fs::TryLockError::WouldBlock) => sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

fn unusable(folder: &Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "open knowledge").with_context("path", folder.display()).with_source(error)
}

fn refused(kind: ErrorKind, id: &EntryId, reason: &'static str) -> Error {
    Error::new(kind, "put knowledge").with_context("id", id).with_context("reason", reason)
}
