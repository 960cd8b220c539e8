//! Answers that were given before.

mod config;
mod key;
mod single;
mod stats;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::Result;
use agentscale_core::llm::{
    Completion, CompletionEvent, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings,
    FinishReason, LlmCapabilities, LlmProvider, ModelInfo, RateLimits, Usage,
};
use agentscale_core::time::{Clock, Monotonic, SystemClock};
use async_trait::async_trait;
use futures::StreamExt;
use moka::sync::Cache;

pub use config::ResponseCacheConfig;
pub use stats::ResponseCacheStats;

use key::Key;
use single::SingleFlight;
use stats::Counts;

/// Answers a request as it was answered before, where nothing that could change the answer is different (row O5).
///
/// Two requests are the same when they have the same tenant, model, messages, tools, form and sampling; runs of white
/// space in texts count as one space. A tenant is never given the answer of another. Only whole answers are kept: one
/// that was cut by its length or by a filter is not, and no error is. While a request is on its way, others like it wait
/// for its answer, a stream's until it has been read to its end; where it fails or its caller goes away, the next of them
/// asks. A kept answer has no usage, for it
/// used nothing, and comes to streams word by word.
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
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
}

struct Shared {
    answers: Cache<Key, Arc<Kept>>,
    on_their_way: SingleFlight,
    counts: Counts,
    ttl: Duration,
}

/// An answer, and what it took to get it.
#[derive(Debug)]
struct Kept {
    completion: Completion,
    at: Monotonic,
    took: Duration,
}

impl<P> ResponseCache<P> {
    /// Puts an empty cache before `inner`. Clones share it.
    ///
    /// # Errors
    /// `invalid_input` for a time or a size of zero.
    pub fn new(inner: P, config: &ResponseCacheConfig) -> Result<Self> {
        config.check()?;
        let ttl = Duration::from_millis(config.ttl_ms);
        let answers = Cache::builder()
            .max_capacity(config.max_bytes)
            .weigher(|_, kept: &Arc<Kept>| weight(&kept.completion))
            .build();
        let shared =
            Shared { answers, on_their_way: SingleFlight::default(), counts: Counts::default(), ttl };
        Ok(Self { inner, clock: Arc::new(SystemClock::new()), shared: Arc::new(shared) })
    }

    /// Sets the clock by which answers age; the system's unless given.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What it has done so far.
    pub fn stats(&self) -> ResponseCacheStats {
        self.shared.counts.read()
    }

    /// Forgets all answers.
    pub fn clear(&self) {
        self.shared.answers.invalidate_all();
    }

    /// An answer that is not too old.
    fn find(&self, key: &Key) -> Option<Completion> {
        let kept = self.shared.answers.get(key)?;
        let age = self.clock.now().since(kept.at);
        if age >= self.shared.ttl {
            self.shared.answers.invalidate(key);
            return None;
        }
        self.shared.counts.hit(age, kept.took);
        let mut known = kept.completion.clone();
        (known.usage, known.rate_limits) = (Usage::default(), RateLimits::default());
        Some(known)
    }

    fn keep(&self, key: Key, completion: &Completion, asked_at: Monotonic) {
        if !matches!(completion.finish_reason, FinishReason::Stop | FinishReason::ToolCalls) {
            return;
        }
        let at = self.clock.now();
        let kept = Kept { completion: completion.clone(), at, took: at.since(asked_at) };
        self.shared.answers.insert(key, Arc::new(kept));
    }
}

#[async_trait]
impl<P: LlmProvider + Clone> LlmProvider for ResponseCache<P> {
    fn capabilities(&self) -> LlmCapabilities {
        self.inner.capabilities()
    }

    fn models(&self) -> Vec<ModelInfo> {
        self.inner.models()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let key = Key::of(&request);
        if let Some(known) = self.find(&key) {
            return Ok(known);
        }
        // Whoever comes behind the first finds its answer, or is the first.
        let _first = self.shared.on_their_way.enter(key).await;
        if let Some(known) = self.find(&key) {
            return Ok(known);
        }
        self.shared.counts.miss();
        let asked_at = self.clock.now();
        let completion = self.inner.complete(request).await?;
        self.keep(key, &completion, asked_at);
        Ok(completion)
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let key = Key::of(&request);
        if let Some(known) = self.find(&key) {
            return Ok(CompletionStream::from_completion(known));
        }
        let first = self.shared.on_their_way.enter(key).await;
        if let Some(known) = self.find(&key) {
            return Ok(CompletionStream::from_completion(known));
        }
        self.shared.counts.miss();
        let asked_at = self.clock.now();
        let events = self.inner.stream(request).await?;
        let limits = events.rate_limits().clone();
        let cache = self.clone();
        // The stream is the first as long as it runs.
        let kept = events.map(move |event| {
            let _first = &first;
            if let Ok(CompletionEvent::Finished(completion)) = &event {
                cache.keep(key, completion, asked_at);
            }
            event
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
            .field("answers", &self.shared.answers.entry_count())
            .finish_non_exhaustive()
    }
}

/// The bytes that an answer takes, roughly: its texts and a little for each part.
fn weight(completion: &Completion) -> u32 {
    const PART: usize = 128;
    let parts = completion.message.content.iter().map(|part| PART + crate::tokens::part_bytes(part));
    u32::try_from(parts.sum::<usize>() + PART).unwrap_or(u32::MAX)
}
