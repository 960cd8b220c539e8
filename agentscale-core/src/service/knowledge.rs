use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tower_layer::Layer;
use tower_service::Service;

use super::{call, shared_service};
use crate::knowledge::{
    DeleteEntries, EntryId, EntryVersion, KnowledgeCapabilities, KnowledgeClient, KnowledgeQuery, PutEntries,
    QueryResult, ScanPage, ScanRequest, StoredEntry,
};
use crate::{Error, Result, Tenant};

shared_service! {
    /// The queries of a [`KnowledgeClient`] as a service.
    KnowledgeService over KnowledgeClient:
    KnowledgeQuery => QueryResult: |client, query| client.query(query);
}

/// A [`KnowledgeClient`] whose queries go through a stack of layers; its other calls do not.
#[derive(Clone, Debug)]
pub struct ServiceKnowledgeClient<S, K> {
    stack: S,
    client: Arc<K>,
}

impl<S, K: KnowledgeClient> ServiceKnowledgeClient<S, K> {
    /// Puts a layer, or a stack of them, before the queries of a client.
    pub fn layered<L: Layer<KnowledgeService<Arc<K>>, Service = S>>(client: K, layer: &L) -> Self {
        let client = Arc::new(client);
        Self { stack: layer.layer(KnowledgeService::new(Arc::clone(&client))), client }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S, K> KnowledgeClient for ServiceKnowledgeClient<S, K>
where
    S: Clone + Debug + Send + Sync + 'static,
    S: Service<KnowledgeQuery, Response = QueryResult, Error = Error, Future: Send>,
    K: KnowledgeClient,
{
    fn capabilities(&self) -> KnowledgeCapabilities {
        self.client.capabilities()
    }
    async fn query(&self, query: KnowledgeQuery) -> Result<QueryResult> {
        call(&self.stack, query).await
    }
    async fn put(&self, request: PutEntries) -> Result<Vec<EntryVersion>> {
        self.client.put(request).await
    }
    async fn get(&self, tenant: &Tenant, id: &EntryId) -> Result<Option<StoredEntry>> {
        self.client.get(tenant, id).await
    }
    async fn delete(&self, request: DeleteEntries) -> Result<u64> {
        self.client.delete(request).await
    }
    async fn history(&self, tenant: &Tenant, id: &EntryId, limit: usize) -> Result<Vec<StoredEntry>> {
        self.client.history(tenant, id, limit).await
    }
    async fn scan(&self, request: ScanRequest) -> Result<ScanPage> {
        self.client.scan(request).await
    }
}
