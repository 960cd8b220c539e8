use agentscale_core::Result;
use agentscale_core::metrics::{Counter, Metric, Metrics};

const REQUESTS: Metric =
    Metric::new("agentscale_cache_requests_total", "requests of entries, by what answered them");
const REFUSED: Metric = Metric::new(
    "agentscale_cache_refused_total",
    "entries that were not given as a tag of theirs had changed",
);
const LEFT_OUT: Metric =
    Metric::new("agentscale_cache_left_out_total", "values that were computed and not held");
const CHANGES: Metric = Metric::new("agentscale_cache_changes_total", "changes of tags, by whose word");
const LOST: Metric =
    Metric::new("agentscale_cache_lost_messages_total", "times at which messages of changes were found lost");
const CHECKS: Metric =
    Metric::new("agentscale_cache_checks_total", "entries whose tags were compared with Redis");
const FAILURES: Metric =
    Metric::new("agentscale_cache_shared_failures_total", "questions that Redis or the bus did not answer");
const MALFORMED: Metric = Metric::new("agentscale_cache_malformed_total", "messages that could not be read");

/// What one [`Cache`](super::Cache) gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Requests answered from memory.
    pub in_process: u64,
    /// Those answered from Redis.
    pub shared: u64,
    /// Those answered from memory although Redis did not answer whether a tag changed.
    pub alone: u64,
    /// Those that got what another request computed at the time.
    pub joined: u64,
    /// Those that computed, or found nothing.
    pub misses: u64,
    /// Entries that were not given as a tag of theirs had changed.
    pub refused: u64,
    /// Values that were computed and not held: too large, too many tags, not to be encoded.
    pub left_out: u64,
}

impl CacheStats {
    /// The part of the requests that computed nothing, 0 before the first one.
    pub fn hit_rate(&self) -> f64 {
        let hits = self.in_process + self.shared + self.alone + self.joined;
        let all = hits + self.misses;
        if all == 0 { 0.0 } else { hits as f64 / all as f64 }
    }
}

/// What one [`NodeCache`](super::NodeCache) did and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeCacheStats {
    /// Tags that changed by the word of this node.
    pub changed_here: u64,
    /// Tags that changed by the word of others, or of this one as it came back.
    pub changed_elsewhere: u64,
    /// Changes that Redis has not been told of yet; they are void here.
    pub untold: u64,
    /// How often messages were found lost.
    pub lost: u64,
    /// Entries whose tags were compared with Redis before they were given.
    pub checks: u64,
    /// Questions that Redis or the bus did not answer.
    pub failures: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// Entries in memory, give or take those that come and go at this moment.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

#[derive(Clone, Debug)]
pub(super) struct CacheCounts {
    pub(super) in_process: Counter,
    pub(super) shared: Counter,
    pub(super) alone: Counter,
    pub(super) joined: Counter,
    pub(super) misses: Counter,
    pub(super) refused: Counter,
    pub(super) left_out: Counter,
}

impl CacheCounts {
    pub(super) fn new(metrics: &Metrics, cache: &str) -> Result<Self> {
        let requests = |result| metrics.counter(&REQUESTS, &[("cache", cache), ("result", result)]);
        Ok(Self {
            in_process: requests("in_process")?,
            shared: requests("shared")?,
            alone: requests("alone")?,
            joined: requests("joined")?,
            misses: requests("miss")?,
            refused: metrics.counter(&REFUSED, &[("cache", cache)])?,
            left_out: metrics.counter(&LEFT_OUT, &[("cache", cache)])?,
        })
    }

    pub(super) fn read(&self) -> CacheStats {
        CacheStats {
            in_process: self.in_process.value(),
            shared: self.shared.value(),
            alone: self.alone.value(),
            joined: self.joined.value(),
            misses: self.misses.value(),
            refused: self.refused.value(),
            left_out: self.left_out.value(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct NodeCounts {
    pub(super) changed_here: Counter,
    pub(super) changed_elsewhere: Counter,
    pub(super) lost: Counter,
    pub(super) checks: Counter,
    pub(super) failures: Counter,
    pub(super) malformed: Counter,
}

impl NodeCounts {
    pub(super) fn new(metrics: &Metrics) -> Result<Self> {
        let changes = |word| metrics.counter(&CHANGES, &[("word", word)]);
        Ok(Self {
            changed_here: changes("here")?,
            changed_elsewhere: changes("elsewhere")?,
            lost: metrics.counter(&LOST, &[])?,
            checks: metrics.counter(&CHECKS, &[])?,
            failures: metrics.counter(&FAILURES, &[])?,
            malformed: metrics.counter(&MALFORMED, &[])?,
        })
    }

    pub(super) fn read(&self) -> NodeCacheStats {
        NodeCacheStats {
            changed_here: self.changed_here.value(),
            changed_elsewhere: self.changed_elsewhere.value(),
            lost: self.lost.value(),
            checks: self.checks.value(),
            failures: self.failures.value(),
            malformed: self.malformed.value(),
            ..NodeCacheStats::default()
        }
    }
}
