use std::collections::VecDeque;
use std::time::Duration;

/// A flush whose 95th percentile is above this makes batches grow.
const SLOW: Duration = Duration::from_millis(50);
/// One whose 95th percentile is below this lets them shrink again.
const FAST: Duration = Duration::from_millis(10);
/// Flushes that a percentile is taken of.
const WINDOW: usize = 20;
/// Batches that may wait before the next ones are larger.
const BEHIND: usize = 4;

/// How many observations one flush writes: more when flushes take long or fall behind, as a row costs less among many.
///
/// ```
/// use std::time::Duration;
/// use agentscale_store::observations::BatchSize;
///
/// let mut batch = BatchSize::new(100, 5_000);
/// for _ in 0..20 {
///     batch.flushed(Duration::from_millis(60), 0);
/// }
/// assert_eq!(batch.size(), 200);
/// ```
#[derive(Clone, Debug)]
pub struct BatchSize {
    smallest: usize,
    largest: usize,
    size: usize,
    recent: VecDeque<Duration>,
}

impl BatchSize {
    /// Begins with the smallest size.
    pub fn new(smallest: usize, largest: usize) -> Self {
        let smallest = smallest.max(1);
        Self { smallest, largest: largest.max(smallest), size: smallest, recent: VecDeque::new() }
    }

    /// The size of the next batch.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Learns how long a flush took and how many observations wait behind it.
    pub fn flushed(&mut self, took: Duration, waiting: usize) {
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(took);
        if waiting > BEHIND * self.size {
            self.resize(self.size.saturating_mul(2));
        } else if let Some(p95) = self.p95() {
            if p95 > SLOW {
                self.resize(self.size.saturating_mul(2));
            } else if p95 < FAST && waiting < self.size {
                self.resize(self.size / 2);
            }
        }
    }

    /// The 95th percentile of the last twenty flushes at this size; `None` before there were so many.
    pub fn p95(&self) -> Option<Duration> {
        if self.recent.len() < WINDOW {
            return None;
        }
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(WINDOW * 95 / 100 - 1).copied()
    }

    fn resize(&mut self, size: usize) {
        let size = size.clamp(self.smallest, self.largest);
        if size != self.size {
            self.size = size;
            self.recent.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flush(batch: &mut BatchSize, millis: u64, waiting: usize, times: usize) {
        for _ in 0..times {
            batch.flushed(Duration::from_millis(millis), waiting);
        }
    }

    #[test]
    fn a_batch_grows_when_the_95th_percentile_of_its_flushes_passes_50_ms() {
        let mut batch = BatchSize::new(100, 350);
        flush(&mut batch, 50, 0, 100);
        assert_eq!(batch.size(), 100);
        flush(&mut batch, 51, 0, 1);
        assert_eq!(batch.size(), 100, "one of twenty is above the percentile");
        flush(&mut batch, 51, 0, 1);
        assert_eq!(batch.size(), 200);
        flush(&mut batch, 51, 0, 19);
        assert_eq!(batch.size(), 200, "the flushes of smaller batches say nothing of these");
        flush(&mut batch, 51, 0, 1);
        assert_eq!(batch.size(), 350);
        flush(&mut batch, 500, 0, 100);
        assert_eq!(batch.size(), 350);
    }

    #[test]
    fn a_batch_grows_while_more_waits_than_a_few_of_them_and_shrinks_behind_the_rush() {
        let mut batch = BatchSize::new(100, 1_000);
        flush(&mut batch, 5, 401, 1);
        assert_eq!(batch.size(), 200);
        flush(&mut batch, 5, 100_000, 10);
        assert_eq!(batch.size(), 1_000);
        flush(&mut batch, 5, 0, 12);
        assert_eq!(batch.size(), 1_000);
        flush(&mut batch, 5, 0, 200);
        assert_eq!(batch.size(), 100);
    }
}
