use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{Observation, ObservationLevel, Observer};

/// Holds observations between those who emit them and the one who carries them off.
///
/// When it is full, the oldest of the least level makes room, debug first; one that matters less than all that is held
/// is dropped itself. Every drop is counted and told with the next batch. Its lock is held for a few moves only, never
/// while a batch is carried off.
#[derive(Debug)]
pub struct ObservationBuffer {
    capacity: usize,
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
pub struct DroppedObservations([u64; ObservationLevel::ALL.len()]);

impl DroppedObservations {
    /// Those of one level.
    pub fn of(&self, level: ObservationLevel) -> u64 {
        self.0[level as usize]
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

#[derive(Debug, Default)]
struct Held {
    /// One queue for each level, with the order of arrival over all.
    levels: [VecDeque<(u64, Observation)>; ObservationLevel::ALL.len()],
    len: usize,
    arrivals: u64,
    dropped: DroppedObservations,
    dropped_before: DroppedObservations,
}

impl ObservationBuffer {
    /// Holds up to `capacity` observations, one at least.
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), held: Mutex::default(), arrived: Notify::new() }
    }

    /// Takes out up to `limit` observations, the oldest first.
    pub fn drain(&self, limit: usize) -> ObservationBatch {
        let mut held = self.held();
        let mut observations = Vec::with_capacity(limit.min(held.len));
        while observations.len() < limit {
            let Some(observation) = held.pop_oldest() else { break };
            observations.push(observation);
        }
        ObservationBatch { observations, dropped: held.report_dropped() }
    }

    /// Waits until there is something to [`drain`](Self::drain). For one consumer.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing.
    pub async fn ready(&self) {
        while self.is_empty() {
            self.arrived.notified().await;
        }
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

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for ObservationBuffer {
    fn emit(&self, observation: Observation) {
        // What was dropped is freed after the lock.
        let _dropped = self.held().push(observation, self.capacity);
        self.arrived.notify_one();
    }
}

impl Held {
    /// Gives back what there was no room for.
    fn push(&mut self, observation: Observation, capacity: usize) -> Option<Observation> {
        let mut victim = None;
        if self.len == capacity {
            let least = self.levels.iter().position(|queue| !queue.is_empty())?;
            if least > observation.level as usize {
                self.dropped.0[observation.level as usize] += 1;
                return Some(observation);
            }
            victim = self.levels[least].pop_front().map(|(_, observation)| observation);
            self.dropped.0[least] += 1;
            self.len -= 1;
        }
        self.levels[observation.level as usize].push_back((self.arrivals, observation));
        self.arrivals += 1;
        self.len += 1;
        victim
    }

    fn pop_oldest(&mut self) -> Option<Observation> {
        let queues = self.levels.iter_mut().filter(|queue| !queue.is_empty());
        let oldest = queues.min_by_key(|queue| queue.front().map(|(arrival, _)| *arrival))?;
        let (_, observation) = oldest.pop_front()?;
        self.len -= 1;
        Some(observation)
    }

    fn report_dropped(&mut self) -> DroppedObservations {
        let before = std::mem::replace(&mut self.dropped_before, self.dropped);
        DroppedObservations(std::array::from_fn(|level| self.dropped.0[level] - before.0[level]))
    }
}
