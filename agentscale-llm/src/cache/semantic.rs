//! Questions that mean the same though their words differ.

mod config;
mod index;
mod particulars;
mod planes;
mod question;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::knowledge::Embedder;
use agentscale_core::layers::{CircuitBreaker, CircuitBreakerConfig};
use agentscale_core::llm::{CallContext, CompletionRequest};
use agentscale_core::time::Clock;
use agentscale_core::{Error, ErrorKind, Result};
use tokio::time::timeout;

pub use config::SemanticConfig;
pub(super) use index::Point;
pub(super) use particulars::figures;

use index::Index;
use planes::{Planes, dot};
use question::Question;

use super::config::OPERATION;
use super::kept::Kept;

/// Finds the answer to a question that is near enough.
#[derive(Debug)]
pub(super) struct Semantic {
    config: SemanticConfig,
    embedder: Arc<dyn Embedder>,
    /// Leaves an embedder alone that does not work, so that its time-out is not waited for by each call.
    breaker: CircuitBreaker,
    index: Index,
    clock: Arc<dyn Clock>,
}

impl Semantic {
    pub(super) fn new(
        embedder: Arc<dyn Embedder>,
        config: &SemanticConfig,
        ttl: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        config.check()?;
        let dimensions = embedder.dimensions() as usize;
        if dimensions == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, OPERATION).with_context("dimensions", 0));
        }
        let planes = Planes::new(embedder.model(), dimensions);
        let index = Index::new(planes, config.min_similarity, config.max_bytes, ttl);
        let breaker =
            CircuitBreaker::new("cache embedder", CircuitBreakerConfig::default(), Arc::clone(&clock))?;
        Ok(Self { config: config.clone(), embedder, breaker, index, clock })
    }

    /// Where a request's question lies; `None` where it is answered only from one with equal texts.
    pub(super) async fn point(&self, request: &CompletionRequest) -> Option<Result<Point>> {
        let question = Question::of(request, &self.config)?;
        let vector = self.vector(question.text, &request.context).await;
        Some(vector.map(|vector| Point { rest: question.rest, vector }))
    }

    pub(super) fn find(&self, point: &Point, is_young: impl Fn(&Kept) -> bool) -> Option<Arc<Kept>> {
        self.index.find(point, is_young)
    }

    pub(super) fn keep(&self, point: &Point, kept: &Arc<Kept>, is_young: impl Fn(&Kept) -> bool) {
        self.index.keep(point, kept, is_young);
    }

    pub(super) fn clear(&self) {
        self.index.clear();
    }

    /// Whether two texts are as near as questions have to be.
    pub(super) async fn is_near(&self, one: &str, other: &str, context: &CallContext) -> Result<bool> {
        let start = |text: &str| text[..text.floor_char_boundary(self.config.max_text_bytes)].to_owned();
        let one = self.vector(start(one), context).await?;
        let other = self.vector(start(other), context).await?;
        Ok(dot(&one, &other) >= f64::from(self.config.min_similarity))
    }

    /// The vector of a text, of length one.
    async fn vector(&self, text: String, context: &CallContext) -> Result<Arc<[f32]>> {
        let permit = self.breaker.try_acquire()?;
        let most = Duration::from_millis(self.config.embed_timeout_ms);
        let wait = most.min(self.time_left(context) / 4);
        let slow = || Error::new(ErrorKind::DeadlineExceeded, "embed a question");
        match timeout(wait, self.embedder.embed_for(vec![text], context)).await {
            // The call was in a hurry: that is no failure of the embedder's.
            Err(_) if wait < most => Err(slow()),
            embedded => {
                let embedded = embedded.unwrap_or_else(|_| Err(slow()));
                let vector = embedded.and_then(|vectors| unit(vectors, self.embedder.dimensions()));
                permit.record(vector.as_ref().map(|_| ()));
                vector
            }
        }
    }

    fn time_left(&self, context: &CallContext) -> Duration {
        context.deadline.map_or(Duration::MAX, |deadline| {
            deadline.remaining(self.clock.unix_micros()).unwrap_or_default()
        })
    }
}

/// The one vector that was asked for, stretched to length one.
fn unit(vectors: Vec<Vec<f32>>, dimensions: u32) -> Result<Arc<[f32]>> {
    let corrupt = |reason: &'static str| {
        Err(Error::new(ErrorKind::Corrupt, "embed a question").with_context("reason", reason))
    };
    let Ok([vector]) = <[Vec<f32>; 1]>::try_from(vectors) else { return corrupt("not one vector") };
    if vector.len() != dimensions as usize {
        return corrupt("a vector of another length");
    }
    let length = dot(&vector, &vector).sqrt();
    if !length.is_normal() {
        return corrupt("a vector without a direction");
    }
    #[expect(clippy::cast_possible_truncation, reason = "each number is at most one")]
    let unit = vector.iter().map(|x| (f64::from(*x) / length) as f32).collect();
    Ok(unit)
}
