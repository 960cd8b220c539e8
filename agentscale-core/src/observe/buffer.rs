use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{Observation, ObservationLevel, Observer};

const LEVELS: usize = ObservationLevel::ALL.len();

/// Holds observations between those who emit them and the one who carries them off.
///
/// When it is full, the oldest of the least level make room, debug first; one that matters less than all that is held
/// is dropped itself. Every drop is counted and told with the next batch. Its lock is held for a few moves only, never
/// while a batch is carried off, and nobody is woken who does not wait for what came.
#[derive(Debug)]
pub struct ObservationBuffer {
    capacity: usize,
    max_bytes: usize,
    held: Mutex<Held>,
    arrived: Notify,
}

/// Observations in the order in which they were emitted.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ObservationBatch {
    /// The oldest first.
    pub observations: Vec<Observation>,
    /// How many were dropped since the batch before.
    pub dropped: DroppedObservations,
}

/// How many observations of each level were dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedObservations([u64; LEVELS]);

impl DroppedObservations {
    /// Those of one level.
    pub fn of(&self, level: ObservationLevel) -> u64 {
        self.0[level as usize]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Counts `more` of a level.
    pub fn count(&mut self, level: ObservationLevel, more: u64) {
        self.0[level as usize] += more;
    }

    /// Counts those of another count, too.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(count, more)| *count += more);
    }
}

#[derive(Debug, Default)]
struct Held {
    /// One queue for each level, with the order of arrival over all.
    levels: [VecDeque<Waiting>; LEVELS],
    bytes: [usize; LEVELS],
    len: usize,
    arrivals: u64,
    dropped: DroppedObservations,
    dropped_before: DroppedObservations,
    /// How many the consumer waits for, while it does.
    wanted: Option<usize>,
    is_closed: bool,
}

#[derive(Debug)]
struct Waiting {
    arrival: u64,
    bytes: usize,
    observation: Observation,
}

/// What is freed behind the lock.
#[derive(Default)]
struct Pushed {
    first: Option<Observation>,
    /// Where a large one displaced several.
    more: Vec<Observation>,
    wakes: bool,
}

impl ObservationBuffer {
    /// Holds up to `capacity` observations, one at least.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            max_bytes: usize::MAX,
            held: Mutex::default(),
            arrived: Notify::new(),
        }
    }

    /// Bounds their [bytes](Observation::size_hint), too; what is larger than that is dropped.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Takes out up to `limit` observations, the oldest first.
    pub fn drain(&self, limit: usize) -> ObservationBatch {
        self.drain_within(limit, usize::MAX)
    }

    /// Takes out up to `limit` observations of up to `bytes` bytes together, or one that is larger; the oldest first.
    pub fn drain_within(&self, limit: usize, bytes: usize) -> ObservationBatch {
        let mut observations = Vec::with_capacity(limit.min(self.len()));
        let mut held = self.held();
        let mut left = bytes;
        while observations.len() < limit {
            let Some(oldest) = held.oldest() else { break };
            let size = held.levels[oldest].front().map_or(0, |waiting| waiting.bytes);
            if size > left && !observations.is_empty() {
                break;
            }
            left = left.saturating_sub(size);
            observations.extend(held.pop(oldest));
        }
        ObservationBatch { observations, dropped: held.report_dropped() }
    }

    /// Waits until there is something to [`drain`](Self::drain). For one consumer.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn ready(&self) {
        self.filled(1).await;
    }

    /// Waits until `count` observations are held, or something was dropped. For one consumer.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn filled(&self, count: usize) {
        while !self.wants(count) {
            self.arrived.notified().await;
        }
    }

    /// Drops and counts what is emitted from now on; what is held stays to be drained.
    pub fn close(&self) {
        self.held().is_closed = true;
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.held().len
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many were dropped since the beginning.
    pub fn dropped(&self) -> DroppedObservations {
        self.held().dropped
    }

    /// Whether they are there; else their arrival wakes the consumer.
    fn wants(&self, count: usize) -> bool {
        let mut held = self.held();
        let is_there = held.has(count.clamp(1, self.capacity));
        held.wanted = (!is_there).then_some(count.clamp(1, self.capacity));
        is_there
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for ObservationBuffer {
    fn emit(&self, observation: Observation) {
        let bytes = observation.size_hint();
        let pushed = self.held().push(observation, bytes, self.capacity, self.max_bytes);
        if pushed.wakes {
            self.arrived.notify_one();
        }
    }
}

impl Held {
    fn has(&self, count: usize) -> bool {
        self.len >= count || self.dropped != self.dropped_before
    }

    fn push(&mut self, observation: Observation, bytes: usize, capacity: usize, max_bytes: usize) -> Pushed {
        let mut pushed = Pushed::default();
        let level = observation.level as usize;
        if self.is_closed || !self.can_take(level, bytes, capacity, max_bytes) {
            self.dropped.count(observation.level, 1);
            pushed.first = Some(observation);
        } else {
            while self.len == capacity || self.bytes.iter().sum::<usize>().saturating_add(bytes) > max_bytes {
                let Some(least) = self.levels.iter().position(|queue| !queue.is_empty()) else { break };
                let victim = self.pop(least);
                self.dropped.0[least] += 1;
                match pushed.first {
                    None => pushed.first = victim,
                    Some(_) => pushed.more.extend(victim),
                }
            }
            self.levels[level].push_back(Waiting { arrival: self.arrivals, bytes, observation });
            self.arrivals += 1;
            self.len += 1;
            self.bytes[level] += bytes;
        }
        if self.wanted.is_some_and(|count| self.has(count)) {
            self.wanted = None;
            pushed.wakes = true;
        }
        pushed
    }

    /// Whether there is room, or would be without what matters no more than it.
    fn can_take(&self, level: usize, bytes: usize, capacity: usize, max_bytes: usize) -> bool {
        let more_bytes: usize = self.bytes[level + 1..].iter().sum();
        let more: usize = self.levels[level + 1..].iter().map(VecDeque::len).sum();
        more < capacity && more_bytes.saturating_add(bytes) <= max_bytes
    }

    /// The level of what has waited longest.
    fn oldest(&self) -> Option<usize> {
        let fronts = self.levels.iter().enumerate();
        let waiting = fronts.filter_map(|(level, queue)| Some((queue.front()?.arrival, level)));
        waiting.min().map(|(_, level)| level)
    }

    fn pop(&mut self, level: usize) -> Option<Observation> {
        let Waiting { bytes, observation, .. } = self.levels[level].pop_front()?;
        self.len -= 1;
        self.bytes[level] -= bytes;
        Some(observation)
    }

    fn report_dropped(&mut self) -> DroppedObservations {
        let before = std::mem::replace(&mut self.dropped_before, self.dropped);
        DroppedObservations(std::array::from_fn(|level| self.dropped.0[level] - before.0[level]))
    }
}
