use std::fmt;
use std::time::Duration;

use crate::metrics::buckets;

/// What a histogram held at one moment. Snapshots of several histograms can be added up.
///
/// Values come back as the middle of their bucket, at most 3.2 % from what was recorded; below 32 they are
/// exact.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct HistogramSnapshot {
    /// Counts by bucket, without the empty ones at the end.
    counts: Vec<u64>,
}

impl HistogramSnapshot {
    pub(super) fn new(counts: Vec<u64>) -> Self {
        let mut snapshot = Self { counts };
        snapshot.trim();
        snapshot
    }

    /// Adds what another histogram of the same unit recorded.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
    }

    /// What was recorded after `earlier`, a snapshot of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = earlier.counts.iter().copied().chain(std::iter::repeat(0));
        Self::new(self.counts.iter().zip(before).map(|(now, then)| now.saturating_sub(then)).collect())
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The sum of the values as they come back, at most 3.2 % from the true one.
    pub fn sum(&self) -> u128 {
        let weighted =
            |(index, count): (usize, &u64)| u128::from(buckets::middle(index)) * u128::from(*count);
        self.counts.iter().enumerate().map(weighted).fold(0, u128::saturating_add)
    }

    /// The value below or at which the share `q` of the values lies, from 0 to 1; `None` while there is none.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let count = self.count();
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut seen = 0u64;
        self.counts
            .iter()
            .position(|bucket| {
                seen = seen.saturating_add(*bucket);
                seen >= rank
            })
            .map(buckets::middle)
    }

    /// The median.
    pub fn p50(&self) -> Option<u64> {
        self.quantile(0.50)
    }

    /// The value that 5 % of the values exceed.
    pub fn p95(&self) -> Option<u64> {
        self.quantile(0.95)
    }

    /// The value that 1 % of the values exceed.
    pub fn p99(&self) -> Option<u64> {
        self.quantile(0.99)
    }

    /// [`HistogramSnapshot::quantile`] of recorded durations.
    pub fn quantile_duration(&self, q: f64) -> Option<Duration> {
        self.quantile(q).map(Duration::from_nanos)
    }

    /// How many values are at most `bound`, where a bucket ends at `bound`: so it is for 2^k - 1.
    pub(in crate::metrics) fn count_up_to(&self, bound: u64) -> u64 {
        let buckets = self.counts.len().min(buckets::index(bound) + 1);
        self.counts[..buckets].iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn trim(&mut self) {
        let used = self.counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        self.counts.truncate(used);
        self.counts.shrink_to_fit();
    }
}

impl fmt::Debug for HistogramSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistogramSnapshot")
            .field("count", &self.count())
            .field("p50", &self.p50())
            .field("p95", &self.p95())
            .field("p99", &self.p99())
            .finish()
    }
}
