use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::nanos::Nanos;
use governor::state::keyed::ShrinkableKeyedStateStore;
use governor::state::{InMemoryState, NotKeyed, StateStore};
use hashbrown::HashTable;

/// The states of a bounded number of keys, as governor keeps them, and one for the keys without a place.
pub(super) struct BoundedKeys<K> {
    shards: Box<[Mutex<Shard<K>>]>,
    /// Keys come from outside: the hash is one that cannot be foreseen.
    hasher: RandomState,
    interval: Nanos,
    without_place: InMemoryState,
}

struct Shard<K> {
    places: HashTable<Place<K>>,
    most: usize,
    /// Where the last look for a rested key ended.
    hand: usize,
}

struct Place<K> {
    key: K,
    /// The theoretical arrival time of the key's next call: once it is past, the whole burst is free.
    arrival: Nanos,
}

/// Threads with different keys rarely meet.
const SHARDS: usize = 16;
/// So few keys do not make shards that are alike.
const FEW: usize = 1_024;
/// How many buckets one call looks at for a key that has rested.
const LOOKS: usize = 16;

impl<K: Hash + Eq + Clone> BoundedKeys<K> {
    pub(super) fn new(most: usize, interval: Duration) -> Self {
        let shards = if most < FEW { 1 } else { SHARDS };
        let shard = || Mutex::new(Shard { places: HashTable::new(), most: most / shards, hand: 0 });
        Self {
            shards: (0..shards).map(|_| shard()).collect(),
            hasher: RandomState::new(),
            interval: interval.into(),
            without_place: InMemoryState::default(),
        }
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<K>> {
        // The table goes by the lowest and the highest bits.
        let shard = (hash >> 32) as usize & (self.shards.len() - 1);
        self.lock(shard)
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard<K>> {
        // Only a key's own code can panic under the lock, before anything is changed.
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone> StateStore for BoundedKeys<K> {
    type Key = K;

    #[inline]
    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let hash = self.hasher.hash_one(key);
        let mut shard = self.shard(hash);
        if let Some(place) = shard.places.find_mut(hash, |place| place.key == *key) {
            let (outcome, arrival) = decide(Some(place.arrival))?;
            place.arrival = arrival;
            return Ok(outcome);
        }
        // A new key is always admitted, one interval before its next arrival.
        let (outcome, arrival) = decide(None)?;
        if shard.has_room(arrival.saturating_sub(self.interval)) {
            let place = Place { key: key.clone(), arrival };
            shard.places.insert_unique(hash, place, |place| self.hasher.hash_one(&place.key));
            return Ok(outcome);
        }
        drop(shard);
        self.without_place.measure_and_replace(&NotKeyed::NonKey, decide)
    }
}

impl<K: Hash + Eq + Clone> ShrinkableKeyedStateStore<K> for BoundedKeys<K> {
    fn retain_recent(&self, drop_below: Nanos) {
        (0..self.shards.len())
            .for_each(|shard| self.lock(shard).places.retain(|place| place.arrival > drop_below));
    }

    fn len(&self) -> usize {
        (0..self.shards.len()).map(|shard| self.lock(shard).places.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K> Shard<K> {
    /// Whether there is a place for a new key, after making one where a key that has rested is found.
    fn has_room(&mut self, now: Nanos) -> bool {
        self.places.len() < self.most || self.evict_rested(now)
    }

    fn evict_rested(&mut self, now: Nanos) -> bool {
        let buckets = self.places.num_buckets();
        for _ in 0..LOOKS.min(buckets) {
            self.hand = (self.hand + 1) % buckets;
            if let Ok(entry) = self.places.get_bucket_entry(self.hand)
                && entry.get().arrival <= now
            {
                entry.remove();
                return true;
            }
        }
        false
    }
}
