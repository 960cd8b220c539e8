//! Knowledge for agents: where it is kept, how it is found, how documents get there.
//!
//! - [`EmbeddedKnowledge`] keeps entries in one folder of this machine and implements
//!   [`KnowledgeClient`](agentscale_core::KnowledgeClient): SQLite for text, metadata, versions and words,
//!   [`index`] for vectors.
//! - [`loader`] cuts Markdown and text files into passages that can be cited by file and line.
//! - [`LexicalEmbedder`] makes vectors of words and their pieces, offline and without meaning. Vectors of a
//!   model come from [`ProviderEmbedder`](agentscale_core::knowledge::ProviderEmbedder).
//!
//! Not for knowledge that several processes share: one process at a time opens a folder.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> agentscale_core::Result<()> {
//! # let (documents, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
//! # std::fs::write(documents.path().join("leases.md"), "# Leases\n\nA lease gives liveness.").unwrap();
//! use agentscale_core::Tenant;
//! use agentscale_core::knowledge::{KnowledgeClient, KnowledgeQuery, PutEntries};
//! use agentscale_knowledge::loader::{Folder, LoaderConfig};
//! use agentscale_knowledge::{EmbeddedKnowledge, LexicalEmbedder};
//!
//! let loaded = Folder::open(documents.path(), LoaderConfig::default())?.load();
//! let entries = loaded.passages.iter().map(|passage| passage.to_entry()).collect::<Result<_, _>>()?;
//!
//! let knowledge = EmbeddedKnowledge::builder(folder.path()).embedder(LexicalEmbedder::default()).open().await?;
//! let tenant = Tenant::new("acme")?;
//! knowledge.put(PutEntries::new(tenant.clone(), entries)).await?;
//! let found = knowledge.query(KnowledgeQuery::text(tenant, "what does a lease give?")).await?;
//! assert_eq!(found.hits[0].entry.entry.id.as_str(), "leases.md:1-3");
//! # knowledge.close().await
//! # }
//! ```
//!
//! The crate has no features.

mod embedded;
pub mod index;
mod lexical;
pub mod loader;

pub use embedded::{EmbeddedBuilder, EmbeddedConfig, EmbeddedKnowledge};
pub use lexical::LexicalEmbedder;
