//! Metrics of the cache.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::metrics::{Counter, Histogram, Metric, Metrics};
use agentscale_core::{Error, Result};

use super::ResponseCacheStats;

const REQUESTS: Metric = Metric::new(
    "agentscale_cache_requests_total",
    "completion requests by what became of them: exact, semantic, miss, bypass",
);

const SAVED: Metric = Metric::new(
    "agentscale_cache_saved_seconds",
    "what a given answer took first, without what it took to find it",
)
.in_seconds();

const AGE: Metric =
    Metric::new("agentscale_cache_answer_age_seconds", "how old an answer was when it was given")
        .in_seconds();

const EMBEDDING: Metric =
    Metric::new("agentscale_cache_embedding_seconds", "time to the vector of a question").in_seconds();

const EMBEDDING_FAILURES: Metric = Metric::new(
    "agentscale_cache_embedding_failures_total",
    "questions that were not compared by meaning for want of a vector, by kind of error",
);

const CHECKS: Metric = Metric::new(
    "agentscale_cache_checks_total",
    "given answers that were asked for anew, by result: same, stale, failed",
);

/// What the cache records.
#[derive(Debug)]
pub(super) struct Telemetry {
    metrics: Metrics,
    exact: Counter,
    semantic: Counter,
    miss: Counter,
    bypass: Counter,
    saved: Histogram,
    age: Histogram,
    embedding: Histogram,
    same: Counter,
    stale: Counter,
    failed: Counter,
    embeddings_failed: AtomicU64,
    saved_nanos: AtomicU64,
    age_nanos: AtomicU64,
}

/// How an answer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Exact,
    Semantic,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Same,
    Stale,
    Failed,
}

impl Telemetry {
    pub(super) fn new(metrics: &Metrics) -> Result<Self> {
        let requests = |result| metrics.counter(&REQUESTS, &[("result", result)]);
        let checks = |result| metrics.counter(&CHECKS, &[("result", result)]);
        embedding_failures(metrics, "deadline_exceeded")?;
        Ok(Self {
            exact: requests("exact")?,
            semantic: requests("semantic")?,
            miss: requests("miss")?,
            bypass: requests("bypass")?,
            saved: metrics.histogram(&SAVED, &[])?,
            age: metrics.histogram(&AGE, &[])?,
            embedding: metrics.histogram(&EMBEDDING, &[])?,
            same: checks("same")?,
            stale: checks("stale")?,
            failed: checks("failed")?,
            metrics: metrics.clone(),
            embeddings_failed: AtomicU64::new(0),
            saved_nanos: AtomicU64::new(0),
            age_nanos: AtomicU64::new(0),
        })
    }

    pub(super) fn hit(&self, found: Found, age: Duration, saved: Duration) {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        match found {
            Found::Exact => self.exact.increment(),
            Found::Semantic => self.semantic.increment(),
        }
        self.saved.record_duration(saved);
        self.age.record_duration(age);
        self.saved_nanos.fetch_add(nanos(saved), Ordering::Relaxed);
        self.age_nanos.fetch_add(nanos(age), Ordering::Relaxed);
    }

    pub(super) fn miss(&self) {
        self.miss.increment();
    }

    pub(super) fn bypass(&self) {
        self.bypass.increment();
    }

    pub(super) fn embedded(&self, took: Duration) {
        self.embedding.record_duration(took);
    }

    pub(super) fn embedding_failed(&self, error: &Error) {
        self.embeddings_failed.fetch_add(1, Ordering::Relaxed);
        // The same name and label were taken when this was made.
        if let Ok(failures) = embedding_failures(&self.metrics, error.kind().as_str()) {
            failures.increment();
        }
    }

    pub(super) fn checked(&self, checked: Checked) {
        match checked {
            Checked::Same => self.same.increment(),
            Checked::Stale => self.stale.increment(),
            Checked::Failed => self.failed.increment(),
        }
    }

    pub(super) fn read(&self) -> ResponseCacheStats {
        let time = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        let (semantic_hits, stale) = (self.semantic.value(), self.stale.value());
        ResponseCacheStats {
            hits: self.exact.value() + semantic_hits,
            semantic_hits,
            misses: self.miss.value(),
            bypassed: self.bypass.value(),
            embeddings_failed: self.embeddings_failed.load(Ordering::Relaxed),
            saved: time(&self.saved_nanos),
            age: time(&self.age_nanos),
            checked: self.same.value() + stale,
            stale,
        }
    }
}

fn embedding_failures(metrics: &Metrics, kind: &str) -> Result<Counter> {
    metrics.counter(&EMBEDDING_FAILURES, &[("error_type", kind)])
}
