//! The documents: read, cut into passages, named by a hash, and put where agents can recall them.

use std::path::{Path, PathBuf};

use agentscale::core::knowledge::{KnowledgeClient, PutEntries, ScanRequest};
use agentscale::knowledge::EmbeddedKnowledge;
use agentscale::knowledge::loader::{Folder, LoaderConfig, Passage};
use agentscale::prelude::*;

use crate::progress::Progress;

const BATCH: usize = 256;

/// What was read.
pub(crate) struct Corpus {
    pub(crate) passages: Vec<Passage>,
    pub(crate) files: usize,
    pub(crate) skipped: usize,
}

impl Corpus {
    /// Reads a folder, or this repository's own documents.
    pub(crate) fn read(docs: Option<&Path>) -> Result<Self> {
        let roots: Vec<(PathBuf, &str)> = match docs {
            Some(folder) => vec![(folder.to_owned(), "")],
            None => {
                let root =
                    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from);
                vec![(root.join("README.md"), ""), (root.join("docs"), "docs/")]
            }
        };
        let mut corpus = Self { passages: Vec::new(), files: 0, skipped: 0 };
        for (root, prefix) in roots {
            let mut loaded = Folder::open(root, LoaderConfig::default())?.load();
            for passage in &mut loaded.passages {
                passage.file.insert_str(0, prefix);
            }
            corpus.passages.append(&mut loaded.passages);
            corpus.files += loaded.files;
            corpus.skipped += loaded.skipped.len();
        }
        if corpus.passages.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "read documents")
                .with_context("reason", "no text to read")
                .with_context("skipped", corpus.skipped));
        }
        Ok(corpus)
    }

    /// The name of these documents dealt to so many agents.
    pub(crate) fn name(&self, agents: u32) -> String {
        let mut hash = blake3::Hasher::new();
        hash.update(&agents.to_le_bytes());
        for passage in &self.passages {
            for part in [passage.citation().as_bytes(), passage.text.as_bytes()] {
                hash.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
        }
        hash.finalize().to_hex()[..16].to_owned()
    }

    /// Indexes what is not indexed yet; passage `i` belongs to agent `i % agents`.
    pub(crate) async fn index(
        &self,
        knowledge: &EmbeddedKnowledge,
        tenant: &Tenant,
        agents: u32,
        show: &Progress,
    ) -> Result<()> {
        let known = count(knowledge, tenant).await?;
        if known == self.passages.len() {
            return Ok(());
        }
        let bar = show.bar("indexing", self.passages.len());
        for (index, batch) in self.passages.chunks(BATCH).enumerate() {
            let mut entries = Vec::with_capacity(batch.len());
            for (offset, passage) in batch.iter().enumerate() {
                let mut entry = passage.to_entry()?;
                let shard = i64::try_from((index * BATCH + offset) % agents as usize).unwrap_or(0);
                entry.metadata.insert("shard".to_owned(), shard.into());
                entries.push(entry);
            }
            knowledge.put(PutEntries::new(tenant.clone(), entries)).await?;
            bar.inc(batch.len() as u64);
        }
        bar.finish_and_clear();
        Ok(())
    }
}

async fn count(knowledge: &EmbeddedKnowledge, tenant: &Tenant) -> Result<usize> {
    let (mut entries, mut request) = (0, ScanRequest::new(tenant.clone(), 1_000));
    loop {
        let page = knowledge.scan(request).await?;
        entries += page.entries.len();
        match page.next {
            Some(cursor) => request = ScanRequest::new(tenant.clone(), 1_000).after(cursor),
            None => return Ok(entries),
        }
    }
}
