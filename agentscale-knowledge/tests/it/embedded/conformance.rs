//! The suite over a store of vectors, over one with an embedder, and through pointers.

use std::sync::Arc;

use agentscale_core::KnowledgeClient;
use agentscale_core::conformance::knowledge::{KnowledgeHarness, KnowledgeUnderTest};
use agentscale_knowledge::{EmbeddedConfig, EmbeddedKnowledge, LexicalEmbedder};
use async_trait::async_trait;

/// With a graph as soon as ten vectors are there.
struct OfVectors;

/// With an embedder, behind two pointers.
struct Embedding;

#[async_trait]
impl KnowledgeHarness for OfVectors {
    async fn start(&self) -> KnowledgeUnderTest {
        let folder = tempfile::tempdir().unwrap();
        let mut config = EmbeddedConfig::default();
        config.exact_up_to = 10;
        let builder = EmbeddedKnowledge::builder(folder.path()).vectors_of(8).config(config);
        KnowledgeUnderTest { client: Arc::new(builder.open().await.unwrap()), keep: Box::new(folder) }
    }
}

#[async_trait]
impl KnowledgeHarness for Embedding {
    async fn start(&self) -> KnowledgeUnderTest {
        let folder = tempfile::tempdir().unwrap();
        let builder = EmbeddedKnowledge::builder(folder.path()).embedder(LexicalEmbedder::default());
        let client: Arc<dyn KnowledgeClient> = Arc::new(builder.open().await.unwrap());
        KnowledgeUnderTest { client: Arc::new(Box::new(client)), keep: Box::new(folder) }
    }
}

mod of_vectors {
    agentscale_core::knowledge_conformance!(super::OfVectors);
}

mod embedding {
    agentscale_core::knowledge_conformance!(super::Embedding);
}
