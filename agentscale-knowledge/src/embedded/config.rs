//! Options of the embedded store.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::knowledge::Embedder;
use agentscale_core::time::{Clock, SystemClock};
use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use super::EmbeddedKnowledge;
use crate::index::IndexConfig;

/// Sizes and limits of [`EmbeddedKnowledge`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct EmbeddedConfig {
    /// The longest text of an entry in bytes. Default 1 MiB.
    pub max_text_bytes: usize,
    /// How many versions of an entry are kept, the newest among them. Default 32.
    pub keep_versions: u64,
    /// Up to how many vectors a tenant is searched exactly. Default 10,000.
    pub exact_up_to: usize,
    /// How many threads build the graphs of larger tenants. Default: one a CPU.
    pub build_threads: usize,
    /// How many searches of vectors run at a time; others wait. Default: one a CPU.
    pub search_threads: usize,
    /// The address space reserved for each of the two files of the vector index, in bytes; a file grows up to
    /// that size. Default 256 GiB.
    pub map_bytes: usize,
    /// How many connections read the database. Default 4.
    pub read_connections: u32,
    /// How long opening waits for another owner of the folder to let go, in milliseconds. Default 2,000.
    pub lock_wait_ms: u64,
    /// Whether a put is synced to the disk before it is acknowledged. Without it an acknowledged put
    /// survives the death of the process, not that of the machine. Default false.
    pub sync_puts: bool,
}

impl Default for EmbeddedConfig {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            max_text_bytes: 1 << 20,
            keep_versions: 32,
            exact_up_to: 10_000,
            build_threads: cpus,
            search_threads: cpus,
            map_bytes: 256 << 30,
            read_connections: 4,
            lock_wait_ms: 2_000,
            sync_puts: false,
        }
    }
}

impl EmbeddedConfig {
    pub(super) fn lock_wait(&self) -> Duration {
        Duration::from_millis(self.lock_wait_ms)
    }

    pub(super) fn index(&self, dimensions: u32) -> IndexConfig {
        let mut index = IndexConfig::new(dimensions as usize);
        index.exact_up_to = self.exact_up_to;
        index.build_threads = self.build_threads.max(1);
        index.map_bytes = self.map_bytes;
        index
    }
}

/// Gathers what [`EmbeddedKnowledge`] is opened with.
#[derive(Clone, Debug)]
pub struct EmbeddedBuilder {
    pub(super) folder: PathBuf,
    pub(super) embedder: Option<Arc<dyn Embedder>>,
    pub(super) dimensions: u32,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: EmbeddedConfig,
}

impl EmbeddedBuilder {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            embedder: None,
            dimensions: 0,
            clock: Arc::new(SystemClock::new()),
            config: EmbeddedConfig::default(),
        }
    }

    /// Embeds texts, of entries and of queries, that come without a vector.
    #[must_use]
    pub fn embedder(mut self, embedder: impl Embedder) -> Self {
        self.dimensions = embedder.dimensions();
        self.embedder = Some(Arc::new(embedder));
        self
    }

    /// Takes vectors of this length from the caller; texts without one are found by their words alone.
    #[must_use]
    pub fn vectors_of(mut self, dimensions: u32) -> Self {
        self.dimensions = dimensions;
        self.embedder = None;
        self
    }

    /// Where the times of versions come from.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sizes and limits.
    #[must_use]
    pub fn config(mut self, config: EmbeddedConfig) -> Self {
        self.config = config;
        self
    }

    /// Opens the folder, or creates it, and brings the index up to date with the database.
    ///
    /// # Errors
    /// `invalid_input` without an embedder and without a length of vectors; `already_exists` when the
    /// folder is in use; `conflict` when it was filled by another embedder; `corrupt` for a database that cannot be read;
    /// `unsupported` for one of a newer version; `unavailable` when the folder cannot be used. None of
    /// these changes what was in the folder.
    pub async fn open(self) -> Result<EmbeddedKnowledge> {
        if self.dimensions == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "open knowledge")
                .with_context("reason", "neither an embedder nor a length of vectors was given"));
        }
        EmbeddedKnowledge::open(self).await
    }

    pub(super) fn model(&self) -> String {
        self.embedder.as_ref().map_or_else(String::new, |embedder| embedder.model().to_owned())
    }
}
