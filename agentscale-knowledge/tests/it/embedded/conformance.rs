//! The suite over a store of vectors, over one with an embedder, through pointers and through layers.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::conformance::knowledge::{KnowledgeHarness, KnowledgeUnderTest};
use agentscale_core::knowledge::{EntryId, KnowledgeQuery, PutEntries};
use agentscale_core::layers::{Component, RetryLayer, TimeoutConfig, TimeoutLayer};
use agentscale_core::service::ServiceKnowledgeClient;
use agentscale_core::{ErrorKind, KnowledgeClient};
use agentscale_knowledge::{EmbeddedConfig, EmbeddedKnowledge, LexicalEmbedder};
use async_trait::async_trait;

use super::{DIMENSIONS, acme, entries, open};

/// With a graph as soon as ten vectors are there.
struct OfVectors;

/// With an embedder, behind two pointers.
struct Embedding;

/// Behind layers.
struct Layered;

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

#[async_trait]
impl KnowledgeHarness for Layered {
    async fn start(&self) -> KnowledgeUnderTest {
        let folder = tempfile::tempdir().unwrap();
        let builder = EmbeddedKnowledge::builder(folder.path()).vectors_of(8);
        let timeout = TimeoutConfig { after: Duration::from_secs(60) };
        let stack =
            (RetryLayer::new(Component::Memory.retry()).unwrap(), TimeoutLayer::new(timeout).unwrap());
        let client = ServiceKnowledgeClient::layered(builder.open().await.unwrap(), &stack);
        KnowledgeUnderTest { client: Arc::new(client), keep: Box::new(folder) }
    }
}

mod of_vectors {
    agentscale_core::knowledge_conformance!(super::OfVectors);
}

mod embedding {
    agentscale_core::knowledge_conformance!(super::Embedding);
}

mod layered {
    agentscale_core::knowledge_conformance!(super::Layered);
}

#[tokio::test]
async fn queries_pass_the_layers_and_other_calls_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let at_once = TimeoutLayer::new(TimeoutConfig { after: Duration::from_nanos(1) }).unwrap();
    let client = ServiceKnowledgeClient::layered(open(folder.path()).await.unwrap(), &at_once);
    client.put(PutEntries::new(acme(), entries(0..1))).await.unwrap();
    assert!(client.get(&acme(), &EntryId::new("00000").unwrap()).await.unwrap().is_some());
    let query = KnowledgeQuery::vector(acme(), vec![1.0; DIMENSIONS as usize]);
    assert_eq!(client.query(query).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
}
