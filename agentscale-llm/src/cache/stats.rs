use std::time::Duration;

/// What a [`ResponseCache`](super::ResponseCache) has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseCacheStats {
    /// Requests that were answered from it.
    pub hits: u64,
    /// Of them, those that were answered from one of like meaning.
    pub semantic_hits: u64,
    /// Requests that went on to the provider because it had no answer.
    pub misses: u64,
    /// Requests that [wanted no answer given before](agentscale_core::llm::CallContext::fresh).
    pub bypassed: u64,
    /// Questions without a vector: the embedder failed, was too slow, or was left alone after that.
    pub embeddings_failed: u64,
    /// The time that its answers took when they were asked for first, without what it took to find them.
    pub saved: Duration,
    /// How old the answers given from it were, all together.
    pub age: Duration,
    /// Answers given from it that were asked for anew and compared.
    pub checked: u64,
    /// Of them, those that were other ones by then.
    pub stale: u64,
}

impl ResponseCacheStats {
    /// The share of requests that were answered from it, 0 to 1. Those that wanted no such answer do not count.
    pub fn hit_rate(&self) -> f64 {
        share(self.hits, self.hits + self.misses).unwrap_or(0.0)
    }

    /// The share of requests that were answered from one of like meaning, 0 to 1.
    pub fn semantic_hit_rate(&self) -> f64 {
        share(self.semantic_hits, self.hits + self.misses).unwrap_or(0.0)
    }

    /// The share of its answers that the provider would not have given any more, 0 to 1, as far as they were checked
    /// ([`check_one_in`](super::ResponseCacheConfig::check_one_in)); `None` where none was.
    pub fn staleness(&self) -> Option<f64> {
        share(self.stale, self.checked)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    (whole > 0).then(|| part as f64 / whole as f64)
}
