use agentscale_core::knowledge::{EntryVersion, KnowledgeClient, KnowledgeQuery, PutEntries, QueryResult};
use agentscale_core::{Error, ErrorKind, Result, Tenant};

use super::{TurnContext, missing};

/// The tenant's knowledge within a turn. Calls are no steps: a repeated turn asks again.
#[derive(Debug)]
pub struct TurnKnowledge<'a> {
    context: &'a TurnContext<'a>,
}

impl<'a> TurnKnowledge<'a> {
    pub(crate) fn new(context: &'a TurnContext<'a>) -> Self {
        Self { context }
    }

    /// Finds entries.
    ///
    /// # Errors
    /// `permission_denied` for another tenant; what the client gives; `unsupported` for a runtime without one.
    pub async fn query(&self, query: KnowledgeQuery) -> Result<QueryResult> {
        let client = self.client(&query.tenant)?;
        let _waiting = self.context.waits.enter();
        client.query(query).await
    }

    /// Puts entries.
    ///
    /// # Errors
    /// As for [`query`](Self::query).
    pub async fn put(&self, request: PutEntries) -> Result<Vec<EntryVersion>> {
        let client = self.client(&request.tenant)?;
        let _waiting = self.context.waits.enter();
        client.put(request).await
    }

    fn client(&self, tenant: &Tenant) -> Result<&'a dyn KnowledgeClient> {
        if tenant != self.context.tenant {
            return Err(
                Error::new(ErrorKind::PermissionDenied, "use knowledge").with_context("tenant", tenant)
            );
        }
        self.context.runtime.knowledge.as_deref().ok_or_else(|| missing("use knowledge"))
    }
}
