//! The gateway in front of the providers.

mod affinity;
mod bucket;
mod builder;
mod call;
mod config;
mod desk;
mod estimate;
mod key;
mod limits;
mod line;
mod pool;
mod queue;
mod reservation;
mod route;
mod stream;
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
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use tokio::task::AbortHandle;

pub use builder::{GatewayBuilder, GatewayModel, KeyPool, ProviderKey};
pub use config::GatewayConfig;
pub use limits::KeyLimits;
pub use pool::KeyChoice;

use affinity::affinity;
use call::{Call, check_window, request_for};
use desk::Desk;
use estimate::Estimates;
use key::Tokens;
use line::Line;
use queue::Pending;
use route::AsksFor;
use table::Table;
use telemetry::LineMetrics;

use crate::tokens::{estimate_tokens, request_bytes};

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
    line_metrics: LineMetrics,
}

impl Gateway {
    /// A gateway of nothing yet.
    pub fn builder() -> GatewayBuilder {
        GatewayBuilder::default()
    }

    pub(crate) fn new(table: Table, clock: Arc<dyn Clock>, line_metrics: LineMetrics) -> Self {
        let shared = Shared {
            desk: Arc::new(Desk::new(clock)),
            estimates: Estimates::new(table.config.max_estimates),
            line: Mutex::new(Line::new(table.config.line())),
            dispatcher: Mutex::new(None),
            line_metrics,
            table: RwLock::new(Arc::new(table)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Sets the gateway up anew while it runs. Calls under way and in line go on as they began. A key that keeps its
    /// pool and id keeps what it has used; a pool that keeps its name keeps its circuit.
    ///
    /// The builder's clock and [`GatewayConfig::max_estimates`] are left as they were, and so is where the line records.
    ///
    /// # Errors
    /// As for [`GatewayBuilder::build`]; then nothing has changed.
    pub fn reload(&self, builder: GatewayBuilder) -> Result<()> {
        let shared = &self.shared;
        // Held while the new table is made: of two reloads the later goes on from what the earlier made.
        let mut table = shared.table.write().unwrap_or_else(PoisonError::into_inner);
        let new = builder.table(shared.desk.clock(), Some(&table))?;
        shared.set_line(new.config.line());
        *table = Arc::new(new);
        drop(table);
        shared.desk.tell_room();
        Ok(())
    }

    /// How many calls wait in line.
    pub fn waiting(&self) -> usize {
        self.shared.desk.waiting()
    }

    fn call(&self, request: &CompletionRequest) -> Result<Call> {
        if request.messages.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "complete").with_context("reason", "no messages"));
        }
        let (shared, context) = (&self.shared, &request.context);
        let tenant = context.tenant.as_ref();
        let table = shared.table();
        let mut route = table.route(&request.model, tenant)?;
        let mut tokens = shared.estimates.estimate(request, &route.model, route.max_output);
        while let Some(longer) = route.for_longer(tokens) {
            route = table.route(longer, None)?;
            tokens = shared.estimates.estimate(request, &route.model, route.max_output);
        }
        check_window(route, tokens)?;
        let route = Arc::clone(route);
        let call =
            Call::new(shared, table, route, context, (AsksFor::Answer, tokens), request_bytes(request))?;
        Ok(call.staying_by(affinity(request)))
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
        let providers = table.routes().flat_map(|route| &route.targets).flat_map(|target| target.pool.keys());
        providers.map(|key| key.provider().capabilities()).fold(LlmCapabilities::new(), LlmCapabilities::or)
    }

    fn models(&self) -> Vec<ModelInfo> {
        self.shared.table().models()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let mut call = self.call(&request)?;
        loop {
            let placed = call.place().await?;
            let sent = request_for(&request, call.model_at(&placed), call.route.max_output);
            let provider = Arc::clone(placed.reservation.key().provider());
            match provider.complete(sent).await {
                Ok(completion) => {
                    call.succeed(placed, &completion);
                    return Ok(completion);
                }
                Err(error) => {
                    let other = call.route.after(&error).map(|other| request.clone().with_model(other));
                    match (call.fail(placed, error), other) {
                        (Ok(()), _) => {}
                        (Err(_), Some(other)) => return self.complete(other).await,
                        (Err(error), None) => return Err(error),
                    }
                }
            }
        }
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let call = self.call(&request)?;
        let route = Arc::clone(&call.route);
        let opened = stream::open(call, request.clone()).await;
        match opened.as_ref().err().and_then(|error| route.after(error)) {
            Some(other) => self.stream(request.with_model(other)).await,
            None => opened,
        }
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        let (shared, context) = (&self.shared, &request.context);
        let tenant = context.tenant.as_ref();
        let table = shared.table();
        let route = Arc::clone(table.route(&request.model, tenant)?);
        let input = request.texts.iter().map(|text| estimate_tokens(text)).sum();
        let tokens = Tokens { input, ..Tokens::default() };
        let mut call = Call::new(shared, table, route, context, (AsksFor::Vectors, tokens), 0)?;
        loop {
            let placed = call.place().await?;
            let sent = request.clone().with_model(call.model_at(&placed));
            let provider = Arc::clone(placed.reservation.key().provider());
            match provider.embed(sent).await {
                Ok(embeddings) => {
                    call.settle(placed, embeddings.usage);
                    return Ok(embeddings);
                }
                Err(error) => call.fail(placed, error)?,
            }
        }
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
