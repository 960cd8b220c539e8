//! KnowledgeClient backends and the embedding pipeline.

mod embedded;
pub mod index;
mod lexical;
pub mod loader;

pub use embedded::{EmbeddedBuilder, EmbeddedConfig, EmbeddedKnowledge};
pub use lexical::LexicalEmbedder;
