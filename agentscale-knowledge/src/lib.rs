//! KnowledgeClient backends and the embedding pipeline.
