//! What the tests are made of.

use std::sync::Arc;

use super::{KnowledgeHarness, KnowledgeUnderTest};
use crate::knowledge::{
    Consistency, DeleteEntries, Entry, EntryId, EntryVersion, KnowledgeQuery, PutEntries, QueryResult, Seek,
    StoredEntry,
};
use crate::{ErrorKind, KnowledgeClient, Result, Tenant};

/// A client and one tenant of it.
pub(super) struct Scene {
    pub(super) client: Arc<dyn KnowledgeClient>,
    pub(super) tenant: Tenant,
    pub(super) dimensions: usize,
    // Fields are dropped in their order: the client before what it stands on.
    _keep: Box<dyn std::any::Any + Send>,
}

impl Scene {
    pub(super) async fn new(harness: &dyn KnowledgeHarness) -> Self {
        let KnowledgeUnderTest { client, keep } = harness.start().await;
        let dimensions = client.capabilities().dimensions.unwrap_or(8) as usize;
        assert!(dimensions >= 2, "the suite needs vectors of two numbers at least");
        Self { client, tenant: tenant("acme"), dimensions, _keep: keep }
    }

    /// A unit vector at an angle in the plane of the first two numbers.
    pub(super) fn vector(&self, degrees: f32) -> Vec<f32> {
        let mut vector = vec![0.0; self.dimensions];
        (vector[1], vector[0]) = degrees.to_radians().sin_cos();
        vector
    }

    /// An entry whose vector lies at an angle.
    pub(super) fn entry(&self, name: &str, text: &str, degrees: f32) -> Entry {
        Entry::new(id(name), text).with_vector(self.vector(degrees))
    }

    /// Puts entries that are named by their numbers, a degree apart.
    pub(super) async fn put_fan(&self, count: usize, numbered: impl Fn(usize, Entry) -> Entry) {
        let entries = (0..count)
            .map(|i| numbered(i, self.entry(&format!("{i:04}"), "text", i as f32 * 180.0 / count as f32)));
        self.put(entries.collect()).await.expect("the entries are put");
    }

    pub(super) async fn put(&self, entries: Vec<Entry>) -> Result<Vec<EntryVersion>> {
        self.client.put(PutEntries::new(self.tenant.clone(), entries)).await
    }

    pub(super) async fn get(&self, name: &str) -> Option<StoredEntry> {
        self.client.get(&self.tenant, &id(name)).await.expect("the entry is read")
    }

    pub(super) async fn delete(&self, names: &[&str]) -> u64 {
        let ids = names.iter().map(|name| id(name)).collect();
        let request = DeleteEntries::new(self.tenant.clone(), ids);
        self.client.delete(request).await.expect("the entries are deleted")
    }

    pub(super) fn near(&self, degrees: f32) -> KnowledgeQuery {
        KnowledgeQuery::vector(self.tenant.clone(), self.vector(degrees))
            .with_consistency(Consistency::Strong)
    }

    pub(super) fn about(&self, text: &str) -> KnowledgeQuery {
        KnowledgeQuery::text(self.tenant.clone(), text).with_consistency(Consistency::Strong)
    }

    /// The answer, or `None` where the client says that it does not find by words.
    pub(super) async fn ask(&self, query: KnowledgeQuery) -> Option<QueryResult> {
        let by_words = matches!(query.seek, Seek::Text(_));
        let answer = self.client.query(query).await;
        if by_words && !self.client.capabilities().words {
            assert_kind(answer, ErrorKind::Unsupported);
            return None;
        }
        Some(answer.expect("the query is answered"))
    }

    /// The ids found, best first.
    pub(super) async fn ids(&self, query: KnowledgeQuery) -> Vec<String> {
        self.ask(query).await.map(|answer| ids(&answer)).unwrap_or_default()
    }
}

pub(super) fn ids(answer: &QueryResult) -> Vec<String> {
    answer.hits.iter().map(|hit| hit.entry.entry.id.to_string()).collect()
}

pub(super) fn id(name: &str) -> EntryId {
    EntryId::new(name).expect("the suite's ids are valid")
}

pub(super) fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("the suite's tenants are valid")
}

#[track_caller]
pub(super) fn assert_kind<T: std::fmt::Debug>(result: Result<T>, kind: ErrorKind) {
    match result {
        Err(error) => assert_eq!(error.kind(), kind, "{error}"),
        Ok(value) => panic!("{kind} was expected, and this came: {value:?}"),
    }
}
