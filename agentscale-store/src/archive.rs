//! Where rows go that are too old for a database: files of JSON lines in a folder, written once, with a manifest beside each.
//!
//! A file is `TABLE/PART.jsonl`, such as `observations/2026_05.jsonl`, its manifest `TABLE/PART.manifest.json`. What is
//! found under that name already and is not the same gets `.2`, `.3` and so on behind the part. A file without a manifest
//! was not finished and is replaced.

mod export;
mod folder;

use std::fmt::Debug;
use std::sync::Arc;

use agentscale_core::Result;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

pub(crate) use export::{RowSource, export};
pub use folder::FolderArchive;

/// A file that is read piece by piece.
pub type Pieces = BoxStream<'static, Result<Bytes>>;

/// A place for files that are written once.
#[async_trait]
pub trait ArchivePlace: Debug + Send + Sync + 'static {
    /// Begins a file, of which nothing is seen before it is finished; it replaces one of the same name then. The name is
    /// of `a-z`, `0-9`, `_`, `.` and `/`.
    ///
    /// # Errors
    /// `unavailable` for a place that cannot be written to.
    async fn create(&self, name: &str) -> Result<Box<dyn ArchiveFile>>;

    /// Reads a file; `None` where there is none.
    ///
    /// # Errors
    /// `unavailable` for a place that cannot be read.
    async fn read(&self, name: &str) -> Result<Option<Pieces>>;
}

/// A file in the making; dropped, it is given up.
#[async_trait]
pub trait ArchiveFile: Debug + Send {
    /// Adds a piece.
    ///
    /// # Errors
    /// `unavailable` for a place that cannot be written to.
    async fn write(&mut self, piece: Bytes) -> Result<()>;

    /// Ends the file: it is there, synced where the place can do that.
    ///
    /// # Errors
    /// `unavailable` for a place that cannot be written to.
    async fn finish(self: Box<Self>) -> Result<()>;
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ArchiveFormat {
    /// One JSON object a line.
    #[default]
    JsonLines,
}

impl ArchiveFormat {
    fn extension(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
        }
    }
}

/// A place and the format of what is put there.
#[derive(Clone, Debug)]
pub struct Archive {
    place: Arc<dyn ArchivePlace>,
    format: ArchiveFormat,
}

impl Archive {
    /// Files of JSON lines in a place.
    pub fn new(place: impl ArchivePlace) -> Self {
        Self { place: Arc::new(place), format: ArchiveFormat::default() }
    }

    /// Writes them in another format.
    #[must_use]
    pub fn with_format(mut self, format: ArchiveFormat) -> Self {
        self.format = format;
        self
    }
}

/// What becomes of months that are too old.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Retirement {
    /// They stay.
    #[default]
    Keep,
    /// They are dropped when what the archive gives back is what it was given.
    Archive(Archive),
    /// They are dropped.
    Drop,
}

/// What a file of the archive holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ArchiveManifest {
    /// The version of this form: 1.
    pub version: u32,
    /// The table whose rows it holds.
    pub table: String,
    /// Which of them: a month, such as `2026_05`.
    pub part: String,
    /// The name of the file in its place.
    pub file: String,
    /// How it is written.
    pub format: ArchiveFormat,
    /// How many rows it holds.
    pub rows: u64,
    /// The hash (BLAKE3) of all rows as JSON lines.
    pub rows_blake3: String,
    /// How long it is.
    pub bytes: u64,
    /// The hash (BLAKE3) of the file.
    pub blake3: String,
}
