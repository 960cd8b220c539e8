use std::sync::Arc;
use std::time::Duration;

use agentscale_core::Result;
use agentscale_core::knowledge::Embedder;
use agentscale_core::llm::{Completion, CompletionRequest};
use agentscale_core::metrics::Metrics;
use agentscale_core::time::{Clock, Monotonic, SystemClock};
use moka::sync::Cache;

use super::kept::Kept;
use super::key::Key;
use super::semantic::{Point, Semantic};
use super::telemetry::{Found, Telemetry};
use super::{ResponseCacheConfig, SemanticConfig};

/// The answers that are kept, and how they are found.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    exact: Cache<Key, Arc<Kept>>,
    pub(super) semantic: Option<Arc<Semantic>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) telemetry: Arc<Telemetry>,
    ttl: Duration,
}

impl Answers {
    pub(super) fn new(config: &ResponseCacheConfig) -> Result<Self> {
        let ttl = Duration::from_millis(config.ttl_ms);
        let exact = Cache::builder()
            .max_capacity(config.max_bytes)
            .weigher(|_, kept: &Arc<Kept>| kept.weight())
            // What nobody asks for again does not stay; the age of what is given is looked at on the clock.
            .time_to_live(ttl)
            .build();
        let telemetry = Arc::new(Telemetry::new(&Metrics::new())?);
        Ok(Self { exact, semantic: None, clock: Arc::new(SystemClock::new()), telemetry, ttl })
    }

    pub(super) fn set_semantic(
        &mut self,
        embedder: Arc<dyn Embedder>,
        config: &SemanticConfig,
    ) -> Result<()> {
        let semantic = Semantic::new(embedder, config, self.ttl, Arc::clone(&self.clock))?;
        self.semantic = Some(Arc::new(semantic));
        Ok(())
    }

    /// The answer to the same request. `since` is when the caller began to look.
    pub(super) fn find(&self, key: &Key, since: Monotonic) -> Option<Completion> {
        let kept = self.exact.get(key)?;
        if !self.is_young(&kept) {
            self.exact.invalidate(key);
            return None;
        }
        Some(self.give(&kept, Found::Exact, since))
    }

    /// Where the request's question lies; `None` where it is not compared by meaning, or has no vector.
    pub(super) async fn point(&self, request: &CompletionRequest) -> Option<Point> {
        let semantic = self.semantic.as_ref()?;
        let since = self.clock.now();
        match semantic.point(request).await? {
            Ok(point) => {
                self.telemetry.embedded(self.clock.now().since(since));
                Some(point)
            }
            Err(error) => {
                self.telemetry.embedding_failed(&error);
                None
            }
        }
    }

    /// The answer to a question that lies near enough.
    pub(super) fn find_near(&self, point: &Point, since: Monotonic) -> Option<Completion> {
        let kept = self.semantic.as_ref()?.find(point, |kept| self.is_young(kept))?;
        Some(self.give(&kept, Found::Semantic, since))
    }

    /// Keeps a whole answer; any other it passes over.
    pub(super) fn keep(&self, key: Key, point: Option<&Point>, answer: &Completion, asked_at: Monotonic) {
        let Some(kept) = Kept::new(answer, asked_at, self.clock.now()).map(Arc::new) else { return };
        if let (Some(semantic), Some(point), false) = (&self.semantic, point, kept.calls_tools()) {
            semantic.keep(point, &kept, |kept| self.is_young(kept));
        }
        self.exact.insert(key, kept);
    }

    pub(super) fn clear(&self) {
        self.exact.invalidate_all();
        if let Some(semantic) = &self.semantic {
            semantic.clear();
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.exact.entry_count()
    }

    fn give(&self, kept: &Kept, found: Found, since: Monotonic) -> Completion {
        let now = self.clock.now();
        self.telemetry.hit(found, now.since(kept.at), kept.took.saturating_sub(now.since(since)));
        kept.answer()
    }

    fn is_young(&self, kept: &Kept) -> bool {
        self.clock.now().since(kept.at) < self.ttl
    }
}
