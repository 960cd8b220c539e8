//! KnowledgeClient backends and the embedding pipeline.

pub mod index;
mod lexical;
pub mod loader;

pub use lexical::LexicalEmbedder;
