//! Answers that were given before.

mod answers;
mod checks;
mod config;
mod kept;
mod key;
mod semantic;
mod single;
mod stats;
mod telemetry;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::Result;
use agentscale_core::knowledge::Embedder;
use agentscale_core::llm::{
    Completion, CompletionEvent, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings,
    LlmCapabilities, LlmProvider, ModelInfo,
};
use agentscale_core::metrics::Metrics;
use agentscale_core::time::{Clock, Monotonic};
use async_trait::async_trait;
use futures::StreamExt;
use tokio::time::timeout;

pub use config::ResponseCacheConfig;
pub use semantic::SemanticConfig;
pub use stats::ResponseCacheStats;

use answers::Answers;
use checks::Checks;
use key::Key;
use semantic::Point;
use single::{First, SingleFlight};
use telemetry::Telemetry;

/// Answers a request as it was answered before, where nothing that could change the answer is different (row O5).
///
/// Two requests are the same when they have the same tenant, model, messages, tools, form and sampling; runs of white
/// space in texts count as one space. A tenant is never given the answer of another. Only whole answers are kept: one
/// that was cut by its length or by a filter is not, nor is an empty one, and no error is. While a request is on its way,
/// others like it wait for its answer, a stream's until it has been read to its end, but no longer than
/// [`ResponseCacheConfig::max_wait_ms`] and their own deadline; where it fails or its caller goes away, the next of them asks. A kept answer has no usage, for it used nothing, and comes to streams word by word.
/// A request that [wants no answer given before](agentscale_core::llm::CallContext::fresh) is asked at once, and what it
/// gets is kept.
///
/// [With an embedder](Self::with_semantic) a request is also answered from one whose last question means the same, where
/// all else is equal: `docs/gateway.md` says what that is.
///
/// Requests that only begin the same are the provider's prompt cache's matter
/// ([`PromptCache`](agentscale_core::llm::PromptCache)).
///
/// ```
/// use agentscale_core::LlmProviderExt;
/// use agentscale_core::testkit::ScriptedProvider;
/// use agentscale_llm::cache::{ResponseCache, ResponseCacheConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentscale_core::Result<()> {
/// let provider = ScriptedProvider::new().with_answer("ten seconds");
/// let cache = ResponseCache::new(provider.clone(), &ResponseCacheConfig::default())?;
/// assert_eq!(cache.ask("How long does a lease last?").await?, "ten seconds");
/// assert_eq!(cache.ask("How long  does a lease last?\n").await?, "ten seconds");
/// assert_eq!((provider.requests().len(), cache.stats().hits), (1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ResponseCache<P> {
    inner: P,
    answers: Answers,
    on_their_way: Arc<SingleFlight>,
    max_wait: Duration,
    checks: Arc<Checks>,
}

/// What a request comes to.
enum Found {
    Known(Completion),
    Unknown(Asking),
}

/// A request that goes on to the provider.
struct Asking {
    key: Key,
    point: Option<Point>,
    at: Monotonic,
    /// Others like it wait.
    _first: Option<First>,
}

impl<P> ResponseCache<P> {
    /// Puts an empty cache before `inner`. Clones share it.
    ///
    /// # Errors
    /// `invalid_input` for a time or a size of zero.
    pub fn new(inner: P, config: &ResponseCacheConfig) -> Result<Self> {
        config.check()?;
        let checks = Arc::new(Checks::new(config.check_one_in));
        let (answers, max_wait) = (Answers::new(config)?, Duration::from_millis(config.max_wait_ms));
        Ok(Self { inner, answers, on_their_way: Arc::default(), max_wait, checks })
    }

    /// Sets the clock by which answers age; the system's unless given. It comes before the embedder.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.answers.clock = clock;
        self
    }

    /// Compares questions by the vectors of `embedder` too. Calls for them carry the request's
    /// [context](agentscale_core::llm::CallContext); where one fails or is slow, the provider is asked.
    ///
    /// # Errors
    /// `invalid_input` with the `field` that is zero or beyond its bounds, or for an embedder without dimensions.
    pub fn with_semantic(mut self, embedder: Arc<dyn Embedder>, config: &SemanticConfig) -> Result<Self> {
        self.answers.set_semantic(embedder, config)?;
        Ok(self)
    }

    /// Records into `metrics`. Caches with one registry count together, in their [`stats`](Self::stats) too.
    ///
    /// # Errors
    /// `conflict` where a name is taken by another metric.
    pub fn with_metrics(mut self, metrics: &Metrics) -> Result<Self> {
        self.answers.telemetry = Arc::new(Telemetry::new(metrics)?);
        Ok(self)
    }

    /// What it has done so far.
    pub fn stats(&self) -> ResponseCacheStats {
        self.answers.telemetry.read()
    }

    /// Forgets all answers.
    pub fn clear(&self) {
        self.answers.clear();
    }
}

impl<P: LlmProvider + Clone> ResponseCache<P> {
    async fn find(&self, request: &CompletionRequest) -> Found {
        let (answers, key) = (&self.answers, Key::of(request));
        if request.context.fresh {
            answers.telemetry.bypass();
            let point = answers.point(request).await;
            return Found::Unknown(Asking { key, point, at: answers.clock.now(), _first: None });
        }
        let since = answers.clock.now();
        if let Some(known) = answers.find(&key, since) {
            return self.known(request, known);
        }
        // Whoever comes behind the first finds its answer, or is the first; or has no time left to wait, and asks too.
        let first = timeout(self.patience(request), self.on_their_way.enter(key)).await.ok();
        if let Some(known) = answers.find(&key, since) {
            return self.known(request, known);
        }
        let point = answers.point(request).await;
        if let Some(known) = point.as_ref().and_then(|point| answers.find_near(point, since)) {
            return self.known(request, known);
        }
        answers.telemetry.miss();
        Found::Unknown(Asking { key, point, at: answers.clock.now(), _first: first })
    }

    /// How long a request waits for the answer of another.
    fn patience(&self, request: &CompletionRequest) -> Duration {
        let now = self.answers.clock.unix_micros();
        let left = request.context.deadline.map(|deadline| deadline.remaining(now).unwrap_or_default());
        left.map_or(self.max_wait, |left| left.min(self.max_wait))
    }

    fn known(&self, request: &CompletionRequest, known: Completion) -> Found {
        if self.checks.is_due() {
            let (inner, answers) = (self.inner.clone(), self.answers.clone());
            self.checks.spawn(checks::check(inner, answers, request.clone(), known.clone()));
        }
        Found::Known(known)
    }
}

impl Asking {
    fn keep(&self, answer: &Completion, answers: &Answers) {
        answers.keep(self.key, self.point.as_ref(), answer, self.at);
    }
}

#[async_trait]
impl<P: LlmProvider + Clone> LlmProvider for ResponseCache<P> {
    fn capabilities(&self) -> LlmCapabilities {
        self.inner.capabilities()
    }

    fn capabilities_of(&self, model: &str) -> LlmCapabilities {
        self.inner.capabilities_of(model)
    }

    fn models(&self) -> Vec<ModelInfo> {
        self.inner.models()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        match self.find(&request).await {
            Found::Known(known) => Ok(known),
            Found::Unknown(asking) => {
                let answer = self.inner.complete(request).await?;
                asking.keep(&answer, &self.answers);
                Ok(answer)
            }
        }
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let asking = match self.find(&request).await {
            Found::Known(known) => return Ok(CompletionStream::from_completion(known)),
            Found::Unknown(asking) => asking,
        };
        let events = self.inner.stream(request).await?;
        let limits = events.rate_limits().clone();
        let answers = self.answers.clone();
        // The stream is the first as long as it runs.
        let kept = events.inspect(move |event| {
            if let Ok(CompletionEvent::Finished(answer)) = event {
                asking.keep(answer, &answers);
            }
        });
        Ok(CompletionStream::new(kept).with_rate_limits(limits))
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        self.inner.embed(request).await
    }
}

impl<P: fmt::Debug> fmt::Debug for ResponseCache<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseCache")
            .field("inner", &self.inner)
            .field("answers", &self.answers.count())
            .finish_non_exhaustive()
    }
}
