//! The k best of a stream of scored items.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// One found item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The item's number.
    pub item: u32,
    /// Its cosine similarity to the query, from -1 to 1.
    pub similarity: f32,
}

/// Keeps the `limit` most similar items; equal similarities keep the lower item.
#[derive(Debug)]
pub(super) struct Nearest {
    limit: usize,
    worst_first: BinaryHeap<WorstFirst>,
}

impl Nearest {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, worst_first: BinaryHeap::new() }
    }

    pub(super) fn offer(&mut self, scored: Scored) {
        if self.worst_first.len() < self.limit {
            self.worst_first.push(WorstFirst(scored));
        } else if let Some(mut worst) = self.worst_first.peek_mut()
            && WorstFirst(scored) < *worst
        {
            *worst = WorstFirst(scored);
        }
    }

    /// Best first.
    pub(super) fn into_sorted(self) -> Vec<Scored> {
        self.worst_first.into_sorted_vec().into_iter().map(|entry| entry.0).collect()
    }
}

/// Orders the less similar item, or the higher number, as the greater.
#[derive(Debug)]
struct WorstFirst(Scored);

impl Ord for WorstFirst {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_similarity = other.0.similarity.total_cmp(&self.0.similarity);
        by_similarity.then(self.0.item.cmp(&other.0.item))
    }
}

impl PartialOrd for WorstFirst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for WorstFirst {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for WorstFirst {}
