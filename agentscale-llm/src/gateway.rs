//! The gateway in front of the providers.

mod affinity;
mod bucket;
mod budget;
mod builder;
mod call;
mod config;
mod desk;
mod estimate;
mod health;
mod key;
mod limits;
mod line;
mod pool;
mod probe;
mod queue;
mod quota;
mod race;
mod reservation;
mod route;
mod status;
mod stream;
mod succession;
mod table;
mod telemetry;
mod verdict;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use agentscale_core::llm::{
    Completion, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings, LlmCapabilities,
    LlmProvider, ModelInfo,
};
use agentscale_core::time::Clock;
use agentscale_core::{Result, Tenant};
use async_trait::async_trait;
use tokio::task::AbortHandle;

pub use budget::{Budget, BudgetConfig};
pub use builder::{GatewayBuilder, GatewayModel, KeyPool, ProviderKey};
pub use config::GatewayConfig;
pub use limits::KeyLimits;
pub use pool::KeyChoice;
pub use status::KeyStatus;

use budget::Budgets;
use call::Call;
use desk::Desk;
use estimate::Estimates;
use health::Awaited;
use line::Line;
use queue::Pending;
use table::Table;

/// Many keys of many providers as one provider; `docs/gateway.md` is its chapter.
///
/// A call goes to a key with room for it: of the requests, tokens and calls in flight that it may use, an estimate is
/// taken before and settled after. Where the first provider has no room or does not work, the next of the model does;
/// where none has, the call waits in line, and goes to the overflow of its model when the line stays long: by class ([`CallContext::priority`](agentscale_core::llm::CallContext)),
/// fairly between tenants by tokens, within a tenant the earliest deadline first. Calls whose prompts begin
/// alike go to one key while it has room, so that the provider's prompt cache is found again.
///
/// # Errors
/// As the provider gave them last, with `model` and `attempts`. Its own: `not_found` for a model or hint that nobody
/// configured; `permission_denied` for a tenant that no key serves; `context_too_long` before anything is sent;
/// `overloaded`, with `retry_after`, where the line is full or the wait would outlast the deadline;
/// `deadline_exceeded` for a call that waited too long.
///
/// # Cancel safety
/// A call that is dropped in line leaves it; one that was sent books what has come, and frees its place.
///
/// ```
/// use agentscale_core::LlmProviderExt;
/// use agentscale_llm::{ExtractiveProvider, NOTHING_FOUND};
/// use agentscale_llm::gateway::{Gateway, GatewayModel, KeyLimits, KeyPool, ProviderKey};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentscale_core::Result<()> {
/// let limits = KeyLimits::new().with_requests(600).with_input_tokens(100_000);
/// let keys = ["one", "two"].map(|id| ProviderKey::new(id, ExtractiveProvider::new()).with_limits(limits.clone()));
/// let [one, two] = keys;
/// let gateway = Gateway::builder()
///     .pool(KeyPool::new("local").key(one).key(two))
///     .model(GatewayModel::new("reader").via("local", "extractive"))
///     .hint("fast", "reader")
///     .build()?;
/// assert_eq!(gateway.ask("How long does a lease last?").await?, NOTHING_FOUND);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    table: RwLock<Arc<Table>>,
    desk: Arc<Desk>,
    estimates: Estimates,
    line: Mutex<Line<Pending>>,
    /// Runs while anyone waits.
    dispatcher: Mutex<Option<AbortHandle>>,
    /// `None` without a ledger.
    budgets: Option<Arc<Budgets>>,
}

impl Gateway {
    /// A gateway of nothing yet.
    pub fn builder() -> GatewayBuilder {
        GatewayBuilder::default()
    }

    pub(crate) fn new(table: Table, clock: Arc<dyn Clock>, budgets: Option<Budgets>) -> Self {
        let shared = Shared {
            desk: Arc::new(Desk::new(clock)),
            estimates: Estimates::new(table.config.max_estimates),
            line: Mutex::new(Line::new(table.config.line())),
            dispatcher: Mutex::new(None),
            budgets: budgets.map(Arc::new),
            table: RwLock::new(Arc::new(table)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sets the gateway up anew while it runs. Calls under way go on as they began, those in line to the keys that they
    /// waited for. A key that keeps its pool and id has the limits of its new configuration from then on, and has used of
    /// them what it had used before: what keys that share a quota no more had used together, each has used; what keys that
    /// share one now had used apart, they have used together. A pool that keeps its name keeps its circuit.
    ///
    /// Budgets hold with their new limits from then on, and keep what was spent of them. The builder's clock and ledger and
    /// [`GatewayConfig::max_estimates`] are left as they were.
    ///
    /// # Errors
    /// As for [`GatewayBuilder::build`], where the gateway has a ledger already; then nothing has changed.
    pub fn reload(&self, builder: GatewayBuilder) -> Result<()> {
        let shared = &self.shared;
        // Held while the new table is made: of two reloads the later goes on from what the earlier made.
        let mut table = shared.table.write().unwrap_or_else(PoisonError::into_inner);
        let budgets = match &shared.budgets {
            Some(budgets) => Some((budgets, builder.budget_setup()?)),
            None => {
                builder.check_no_budget()?;
                None
            }
        };
        let new = builder.table(shared.desk.clock(), Some(&table))?;
        if let Some((budgets, (rules, config, metrics))) = budgets {
            budgets.set_up_anew(rules, config, metrics);
        }
        succession::take_place(&new, &table, shared.desk.now());
        let before = std::mem::replace(&mut *table, Arc::new(new));
        drop(table);
        shared.set_line_up_anew(&before);
        shared.desk.tell_room();
        Ok(())
    }

    /// Settles the budgets and gives back what is left of its grants; without it they are forfeited when their lease ends.
    /// Calls that come later are `unavailable`, if there is a ledger; those under way are charged the most that they can cost, and are not in
    /// the usage.
    ///
    /// # Errors
    /// Those of the ledger; the grants are forfeited then.
    pub async fn close(&self) -> Result<()> {
        match &self.shared.budgets {
            Some(budgets) => budgets.close().await,
            None => Ok(()),
        }
    }

    /// Whether a provider works, as far as its calls and probes have shown, and accepts a key that it has: whether a call
    /// may have an answer. A key that only waits for room, or for the end of a rate limit, is accepted.
    pub fn works(&self) -> bool {
        self.shared.table().works(self.shared.desk.now())
    }

    /// The models that a key serves for this tenant, by name; for calls that name no tenant, those of keys for all.
    pub fn models_for(&self, tenant: Option<&Tenant>) -> Vec<ModelInfo> {
        self.shared.table().models_for(tenant)
    }

    /// How many calls wait in line.
    pub fn waiting(&self) -> usize {
        self.shared.desk.waiting()
    }

    /// How each key stands, by the names of pools and in their order within each.
    pub fn keys(&self) -> Vec<KeyStatus> {
        let (table, now) = (self.shared.table(), self.shared.desk.now());
        let mut keys: Vec<_> = table.pools().flat_map(|pool| KeyStatus::of_pool(pool, now)).collect();
        keys.sort_by(|one, other| one.pool.cmp(&other.pool));
        keys
    }
}

impl Shared {
    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl LlmProvider for Gateway {
    /// What at least one of its providers can do; a model whose providers cannot says `unsupported`.
    fn capabilities(&self) -> LlmCapabilities {
        let table = self.shared.table();
        table.routes().map(|route| route.capabilities()).fold(LlmCapabilities::new(), LlmCapabilities::or)
    }

    /// What at least one of its providers can do; all of them go on from words of the assistant, or the model does not.
    fn capabilities_of(&self, model: &str) -> LlmCapabilities {
        match self.shared.table().route(model, None) {
            Ok(route) => route.capabilities(),
            // A tenant's own name may stand for any.
            Err(_) => self.capabilities(),
        }
    }

    fn models(&self) -> Vec<ModelInfo> {
        self.shared.table().models()
    }

    async fn complete(&self, mut request: CompletionRequest) -> Result<Completion> {
        let mut call = Call::to_answer(&self.shared, &request, Awaited::Answer)?;
        loop {
            let answered = call.answered(|to| {
                let request = to.request(&mut request);
                Box::pin(async move { to.provider.complete(request).await })
            });
            match answered.await {
                Ok((completion, attempt)) => {
                    call.succeed(attempt, &completion);
                    return Ok(completion);
                }
                Err(error) => call = call.taken_over(&mut request, error)?,
            }
        }
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        stream::open(&self.shared, request).await
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        let mut call = Call::to_embed(&self.shared, &request)?;
        let answered = call.answered(|to| {
            let request = request.clone().with_model(to.model);
            Box::pin(async move { to.provider.embed(request).await })
        });
        let (embeddings, attempt) = answered.await?;
        call.settle(attempt, &embeddings.model, embeddings.usage);
        Ok(embeddings)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let dispatcher = self.dispatcher.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = dispatcher.take() {
            task.abort();
        }
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("models", &self.table().models().len())
            .field("waiting", &self.desk.waiting())
            .finish_non_exhaustive()
    }
}

/// Compiles and runs the example of the chapter.
#[cfg(doctest)]
#[doc = include_str!("../../docs/gateway.md")]
struct GatewayChapter;
