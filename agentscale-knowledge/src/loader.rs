//! Cuts the Markdown and text files of a folder into passages with file and line range.
//!
//! ```no_run
//! use agentscale_knowledge::loader::{Folder, LoaderConfig};
//!
//! let loaded = Folder::open("docs", LoaderConfig::default())?.load();
//! for passage in &loaded.passages {
//!     println!("{}: {} bytes", passage.citation(), passage.text.len());
//! }
//! println!("{} files, {} skipped", loaded.files, loaded.skipped.len());
//! # Ok::<(), agentscale_core::Error>(())
//! ```

mod block;
mod cut;
mod passage;
mod walk;

use std::path::{Path, PathBuf};

use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

pub use self::cut::{cut_markdown, cut_text};
pub use self::passage::Passage;
use self::walk::Walk;

/// What is read and how it is cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct LoaderConfig {
    /// The endings of files that are read, in lower case; a name without an ending counts as one of them.
    /// Default: `md`, `markdown`, `mdx`, `txt`, `text`, `rst`, `adoc`.
    pub extensions: Vec<String>,
    /// Files of more bytes are skipped. Default 4 MiB.
    pub max_file_bytes: u64,
    /// Where a passage ends at the latest, in bytes, unless it is a fence of code. Default 1,200.
    pub max_passage_bytes: usize,
    /// Where a fence of code is cut after all, in bytes. Default 32 KiB.
    pub max_fence_bytes: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        let extensions = ["md", "markdown", "mdx", "txt", "text", "rst", "adoc"];
        Self {
            extensions: extensions.map(str::to_owned).to_vec(),
            max_file_bytes: 4 << 20,
            max_passage_bytes: 1_200,
            max_fence_bytes: 32 << 10,
        }
    }
}

/// Why a file was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// Its ending is not among [`LoaderConfig::extensions`].
    OtherType,
    /// It has more bytes than [`LoaderConfig::max_file_bytes`].
    TooLarge,
    /// It is no UTF-8 or holds a NUL.
    NotText,
    /// It, or a folder, could not be read.
    Unreadable,
    /// Its name is no UTF-8, too long or has control characters, so that nothing could cite it.
    UnusableName,
}

/// A file or folder that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its path below the folder.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// What a folder held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// The passages, file by file in the order of the walk, each file from its top.
    pub passages: Vec<Passage>,
    /// How many files were cut.
    pub files: usize,
    /// What was passed over.
    pub skipped: Vec<Skipped>,
}

/// A folder of documents, or one document.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    config: LoaderConfig,
}

impl Folder {
    /// Checks that there is something to read.
    ///
    /// # Errors
    /// `not_found` for a path that does not exist, `permission_denied` for one that may not be read,
    /// `unavailable` for other failures of the file system; each names the path.
    pub fn open(root: impl Into<PathBuf>, config: LoaderConfig) -> Result<Self> {
        let root = root.into();
        let readable = std::fs::metadata(&root).and_then(|about| match about.is_dir() {
            true => std::fs::read_dir(&root).map(drop),
            false => std::fs::File::open(&root).map(drop),
        });
        readable.map_err(|error| cannot_open(&root, error))?;
        Ok(Self { root, config })
    }

    /// Reads file by file, in an order that depends on names alone: one file's passages in memory at a
    /// time. Names that begin with a dot are passed over. Links are followed; what they lead to is read
    /// once, so that a loop ends. Blocks on the file system.
    pub fn files(&self) -> impl Iterator<Item = std::result::Result<Vec<Passage>, Skipped>> {
        Walk::new(self.root.clone(), self.config.clone())
    }

    /// Reads all of it into memory. Blocks on the file system.
    pub fn load(&self) -> Loaded {
        let mut loaded = Loaded::default();
        for file in self.files() {
            match file {
                Ok(passages) => {
                    loaded.files += 1;
                    loaded.passages.extend(passages);
                }
                Err(skipped) => loaded.skipped.push(skipped),
            }
        }
        loaded
    }
}

fn cannot_open(path: &Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => ErrorKind::NotFound,
        std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "read documents").with_context("path", path.display()).with_source(error)
}
