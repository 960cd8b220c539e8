use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::planes::{Planes, dot};
use crate::cache::kept::Kept;
use crate::cache::key::Key;

/// How many answers one bucket holds of requests that are equal but for their question; the newest.
const MOST_IN_CELL: usize = 64;

/// Vectors of one bucket count as the same from here on: the newer answer takes the older's place.
const SAME: f64 = 0.999_999;

/// Answers by what must be equal and by the bucket of their question's vector.
#[derive(Debug)]
pub(super) struct Index {
    cells: Cache<(Key, u8), Arc<[Entry]>>,
    planes: Planes,
    min_similarity: f64,
}

/// Where a question lies.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(super) rest: Key,
    /// Of length one.
    pub(super) vector: Arc<[f32]>,
}

#[derive(Clone, Debug)]
struct Entry {
    vector: Arc<[f32]>,
    kept: Arc<Kept>,
}

impl Index {
    pub(super) fn new(planes: Planes, min_similarity: f32, max_bytes: u64, ttl: Duration) -> Self {
        let cells = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, entries: &Arc<[Entry]>| {
                entries.iter().map(Entry::weight).fold(0, u32::saturating_add)
            })
            .time_to_live(ttl)
            .build();
        Self { cells, planes, min_similarity: f64::from(min_similarity) }
    }

    /// The answer to the nearest question that is near enough and not too old.
    pub(super) fn find(&self, point: &Point, is_young: impl Fn(&Kept) -> bool) -> Option<Arc<Kept>> {
        let cells = self.planes.buckets(&point.vector).filter_map(|bucket| {
            let place = (point.rest, bucket);
            self.cells.contains_key(&place).then(|| self.cells.get(&place)).flatten()
        });
        let mut nearest: Option<(f64, Arc<Kept>)> = None;
        for entry in cells.flat_map(|cell| cell.to_vec()).filter(|entry| is_young(&entry.kept)) {
            let similarity = dot(&entry.vector, &point.vector);
            let least = nearest.as_ref().map_or(self.min_similarity, |(similarity, _)| *similarity);
            if similarity >= least {
                nearest = Some((similarity, entry.kept));
            }
        }
        nearest.map(|(_, kept)| kept)
    }

    pub(super) fn keep(&self, point: &Point, kept: &Arc<Kept>, is_young: impl Fn(&Kept) -> bool) {
        let Some(bucket) = self.planes.buckets(&point.vector).next() else { return };
        let entry = Entry { vector: Arc::clone(&point.vector), kept: Arc::clone(kept) };
        self.cells.entry((point.rest, bucket)).and_upsert_with(|before| {
            let before = before.map(moka::Entry::into_value);
            let others = before.iter().flat_map(|entries| entries.iter());
            let others =
                others.filter(|other| is_young(&other.kept) && dot(&other.vector, &point.vector) < SAME);
            [entry].into_iter().chain(others.cloned()).take(MOST_IN_CELL).collect()
        });
    }

    pub(super) fn clear(&self) {
        self.cells.invalidate_all();
    }
}

impl Entry {
    fn weight(&self) -> u32 {
        let vector = u32::try_from(size_of_val(&*self.vector)).unwrap_or(u32::MAX);
        self.kept.weight().saturating_add(vector)
    }
}

#[cfg(test)]
mod tests {
    use agentscale_core::llm::{Completion, CompletionRequest, FinishReason, Message, Usage};
    use agentscale_core::time::Monotonic;

    use super::*;

    fn answer(text: &str) -> Arc<Kept> {
        let message = Message::assistant(text);
        let completion = Completion::new(message, FinishReason::Stop, Usage::default(), "m");
        Arc::new(Kept::new(&completion, Monotonic::ZERO, Monotonic::ZERO).unwrap())
    }

    fn at(number: usize, dimensions: usize) -> Point {
        let vector = (0..dimensions).map(|place| if place == number { 1.0 } else { 0.0 }).collect();
        Point { rest: Key::of(&CompletionRequest::new(vec![])), vector }
    }

    #[test]
    fn vectors_and_answers_take_no_more_bytes_than_they_may() {
        let index = Index::new(Planes::new("m", 512), 0.95, 100_000, Duration::from_secs(600));
        for number in 0..512 {
            index.keep(&at(number, 512), &answer(&"long ".repeat(200)), |_| true);
        }
        index.cells.run_pending_tasks();
        let held: u64 = index
            .cells
            .iter()
            .map(|(_, cell)| cell.iter().map(Entry::weight).sum::<u32>())
            .map(u64::from)
            .sum();
        assert!((1..=100_000).contains(&held), "{held}");
    }

    #[test]
    fn a_newer_answer_to_the_same_question_takes_the_place_of_the_older() {
        let index = Index::new(Planes::new("m", 16), 0.95, 100_000, Duration::from_secs(600));
        for text in ["older", "newer"] {
            index.keep(&at(3, 16), &answer(text), |_| true);
        }
        let found = index.find(&at(3, 16), |_| true).unwrap();
        assert_eq!(found.answer().text(), "newer");
        let cells: Vec<_> = index.cells.iter().map(|(_, cell)| cell.len()).collect();
        assert_eq!(cells, [1]);
    }
}
