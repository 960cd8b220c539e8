//! How a query finds its hits.

use std::collections::HashMap;
use std::sync::Arc;

use agentscale_core::knowledge::{Consistency, Hit, KnowledgeQuery, Lag, QueryResult, Seek, StoredEntry};
use agentscale_core::{Error, ErrorKind, Result};
use roaring::RoaringBitmap;

use super::cursor::Place;
use super::follow::blocking;
use super::select::{self, Scope};
use super::{EmbeddedKnowledge, filter};
use crate::index::{VectorIndex, vector};

const QUERY: &str = "query knowledge";
/// Reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009, with their constant.
const FUSION: f32 = 60.0;
/// How many hits each ranking gives at least, so that a hit of both can overtake one of either.
const LEAST_DEPTH: usize = 64;
/// How often a query looks again when what it found was changed meanwhile.
const ATTEMPTS: usize = 4;

/// A query after its cursor was read and its text was embedded.
struct Search<'q> {
    scope: Scope<'q>,
    words: Option<&'q str>,
    /// Of length one.
    vector: Option<Arc<[f32]>>,
    depth: usize,
}

impl EmbeddedKnowledge {
    pub(super) async fn find(&self, query: &KnowledgeQuery) -> Result<QueryResult> {
        query.filter.as_ref().map_or(Ok(()), filter::check)?;
        let place = Place::of(query)?;
        let (words, vector) = self.seek(&query.seek).await?;
        let followed = self.writer.caught_up().await;
        let behind = match followed {
            Err(error) if query.consistency == Consistency::Strong => return Err(error),
            followed => followed.is_err(),
        };
        let tenant = select::tenant(&self.readers, query.tenant.as_str()).await?;
        let Some(tenant) = tenant.filter(|_| query.limit > 0) else {
            return Ok(QueryResult::new(Vec::new(), None));
        };
        let needed = place.offset.saturating_add(query.limit).saturating_add(1);
        let scope = Scope { tenant, as_of: query.as_of, filter: query.filter.as_ref() };
        let depth = place.depth.max(needed).max(LEAST_DEPTH);
        let search = Search { scope, words, vector, depth };

        let mut answer = QueryResult::new(Vec::new(), None);
        answer.partial = behind;
        answer.lag = Lag::default();
        for attempt in 1..=ATTEMPTS {
            let ranked = self.rank(&search, needed).await?;
            let page: Vec<(i64, f32)> =
                ranked.into_iter().skip(place.offset).take(query.limit.saturating_add(1)).collect();
            let shown = &page[..page.len().min(query.limit)];
            answer.hits = self.hits(scope, shown).await?;
            if page.len() > shown.len() {
                let next = Place { offset: place.offset + query.limit, depth };
                answer.next = Some(next.cursor(query));
            }
            if answer.hits.len() == shown.len() {
                break;
            }
            answer.partial |= attempt == ATTEMPTS;
        }
        Ok(answer)
    }

    async fn seek<'q>(&self, seek: &'q Seek) -> Result<(Option<&'q str>, Option<Arc<[f32]>>)> {
        match seek {
            Seek::Text(text) if text.trim().is_empty() => {
                Err(Error::new(ErrorKind::InvalidInput, QUERY).with_context("reason", "empty text"))
            }
            Seek::Text(text) => {
                let Some(embedder) = &self.embedder else { return Ok((Some(text), None)) };
                let vectors = embedder.embed(vec![text.clone()]).await?;
                let vector = vectors.first().map(|vector| self.unit(vector)).transpose();
                Ok((
                    Some(text),
                    vector.map_err(|error| Error::new(ErrorKind::Corrupt, QUERY).with_source(error))?,
                ))
            }
            Seek::Vector(vector) => Ok((None, Some(self.unit(vector)?))),
            _ => {
                Err(Error::new(ErrorKind::Unsupported, QUERY).with_context("reason", "unknown kind of seek"))
            }
        }
    }

    fn unit(&self, vector: &[f32]) -> Result<Arc<[f32]>> {
        let unit = vector::unit(vector).filter(|unit| unit.len() == self.dimensions as usize);
        unit.map(|unit| Arc::from(unit.as_ref())).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, QUERY)
                .with_context("expected dimensions", self.dimensions)
                .with_context("dimensions", vector.len())
        })
    }

    /// Items and scores, best first: `needed` of them wherever so many fit.
    async fn rank(&self, search: &Search<'_>, needed: usize) -> Result<Vec<(i64, f32)>> {
        let mut ranked = match (&search.vector, search.words) {
            (Some(vector), None) => self.by_vector(search, vector).await?,
            (vector, words) => {
                let alike = match vector {
                    Some(vector) => self.by_vector(search, vector).await?,
                    None => Vec::new(),
                };
                let alike = alike.into_iter().map(|(item, _)| item).collect();
                let text = words.unwrap_or_default();
                fuse([alike, select::by_words(&self.readers, search.scope, text, search.depth).await?])
            }
        };
        if ranked.len() < needed {
            self.fill(search.scope, &mut ranked, needed).await?;
        }
        Ok(ranked)
    }

    async fn by_vector(&self, search: &Search<'_>, query: &Arc<[f32]>) -> Result<Vec<(i64, f32)>> {
        if search.scope.as_of.is_some() {
            let mut scored = select::by_scan(&self.readers, search.scope, query).await?;
            scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            scored.truncate(search.depth);
            return Ok(scored);
        }
        let allowed = match search.scope.filter {
            Some(_) => Some(select::candidates(&self.readers, search.scope).await?),
            None => None,
        };
        let partition = u32::try_from(search.scope.tenant)
            .map_err(|_| Error::new(ErrorKind::Corrupt, QUERY).with_context("tenant", search.scope.tenant))?;
        let slot = self.search_slots.clone().acquire_owned().await;
        let slot = slot.map_err(|error| Error::new(ErrorKind::Unavailable, QUERY).with_source(error))?;
        let (index, query, depth) = (self.index.clone(), query.clone(), search.depth);
        blocking(QUERY, move || {
            // Kept where the work is: a caller that goes away does not end it.
            let _slot = slot;
            nearest(&index, partition, &query, depth, allowed.as_ref())
        })
        .await
    }

    /// A ranking that knows too few is filled up with what else fits: `limit` is a contract.
    async fn fill(&self, scope: Scope<'_>, ranked: &mut Vec<(i64, f32)>, needed: usize) -> Result<()> {
        let below = ranked.last().map_or(0.0, |last| last.1.min(0.0));
        let known: RoaringBitmap = ranked.iter().map(|(item, _)| *item as u32).collect();
        let others = select::any(&self.readers, scope, needed.saturating_add(ranked.len())).await?;
        let others = others.into_iter().filter(|item| !known.contains(*item as u32));
        ranked.extend(others.take(needed - ranked.len()).map(|item| (item, below)));
        Ok(())
    }

    async fn hits(&self, scope: Scope<'_>, shown: &[(i64, f32)]) -> Result<Vec<Hit>> {
        let items: Vec<i64> = shown.iter().map(|(item, _)| *item).collect();
        let entries = select::entries(&self.readers, scope, &items).await?;
        let mut entries: HashMap<i64, StoredEntry> = entries.into_iter().collect();
        let hits = shown.iter().filter_map(|(item, score)| Some(Hit::new(entries.remove(item)?, *score)));
        Ok(hits.collect())
    }
}

fn nearest(
    index: &VectorIndex,
    partition: u32,
    query: &[f32],
    limit: usize,
    allowed: Option<&RoaringBitmap>,
) -> Result<Vec<(i64, f32)>> {
    let found = index.search(partition, query, limit, allowed)?;
    Ok(found.into_iter().map(|scored| (i64::from(scored.item), scored.similarity)).collect())
}

/// Sums over the rankings 1 / (60 + rank), the first rank being 1.
fn fuse(rankings: [Vec<i64>; 2]) -> Vec<(i64, f32)> {
    let mut scores: HashMap<i64, f32> = HashMap::new();
    for ranking in rankings {
        for (rank, item) in ranking.into_iter().enumerate() {
            *scores.entry(item).or_default() += 1.0 / (FUSION + 1.0 + rank as f32);
        }
    }
    let mut fused: Vec<(i64, f32)> = scores.into_iter().collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    fused
}
