//! KnowledgeClient backends and the embedding pipeline.

pub mod index;
