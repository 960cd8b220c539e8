use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

type Flights<K, T> = Arc<Mutex<HashMap<K, Weak<Flight<T>>>>>;

/// Lets one of those who want the same make it; the others get what it made.
#[derive(Debug)]
pub(super) struct SingleFlight<K, T> {
    flights: Flights<K, T>,
}

#[derive(Debug)]
struct Flight<T> {
    turn: Arc<Turn<()>>,
    made: Mutex<Option<T>>,
}

/// Whether to make it.
#[derive(Debug)]
pub(super) enum Entered<K: Hash + Eq, T> {
    First(First<K, T>),
    Made(T),
}

/// Makes it. Where this goes without having made it, the next one is the first.
#[derive(Debug)]
pub(super) struct First<K: Hash + Eq, T> {
    key: K,
    flights: Flights<K, T>,
    flight: Option<Arc<Flight<T>>>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl<K: Hash + Eq + Clone, T: Clone> SingleFlight<K, T> {
    pub(super) fn new() -> Self {
        Self { flights: Arc::default() }
    }

    /// Waits until nobody else makes it, and gives what was made meanwhile.
    pub(super) async fn enter(&self, key: &K) -> Entered<K, T> {
        let flight = self.flight(key);
        let turn = Arc::clone(&flight.turn);
        // Dropped while it waits, this clears its place.
        let mut first =
            First { key: key.clone(), flights: Arc::clone(&self.flights), flight: Some(flight), turn: None };
        first.turn = Some(turn.lock_owned().await);
        match first.made() {
            Some(made) => Entered::Made(made),
            None => Entered::First(first),
        }
    }

    fn flight(&self, key: &K) -> Arc<Flight<T>> {
        let mut flights = lock(&self.flights);
        flights.get(key).and_then(Weak::upgrade).unwrap_or_else(|| {
            let flight = Arc::new(Flight { turn: Arc::default(), made: Mutex::new(None) });
            flights.insert(key.clone(), Arc::downgrade(&flight));
            flight
        })
    }
}

impl<K: Hash + Eq, T: Clone> First<K, T> {
    /// Gives it to those who wait. Whoever comes now makes another.
    pub(super) fn make(self, made: T) {
        if let Some(flight) = &self.flight {
            lock(&self.flights).remove(&self.key);
            *lock(&flight.made) = Some(made);
        }
    }

    fn made(&self) -> Option<T> {
        self.flight.as_ref().and_then(|flight| lock(&flight.made).clone())
    }
}

impl<K: Hash + Eq, T> Drop for First<K, T> {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        self.turn = None;
        let last = self.flight.take();
        drop(last);
        if flights.get(&self.key).is_some_and(|flight| flight.strong_count() == 0) {
            flights.remove(&self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_makes_it_where_the_first_goes_away_and_places_are_cleared() {
        let flights = SingleFlight::<u8, u8>::new();
        let Entered::First(first) = flights.enter(&1).await else { panic!("nobody else is there") };
        let (mut second, mut third) = (Box::pin(flights.enter(&1)), Box::pin(flights.enter(&1)));
        assert!(futures::poll!(&mut second).is_pending() && futures::poll!(&mut third).is_pending());
        drop(first);
        let Entered::First(second) = second.await else { panic!("nothing was made") };
        assert!(futures::poll!(&mut third).is_pending());
        second.make(7);
        assert!(matches!(flights.enter(&1).await, Entered::First(_)));
        assert!(matches!(third.await, Entered::Made(7)));
        assert!(lock(&flights.flights).is_empty());
    }

    #[tokio::test]
    async fn whoever_stops_waiting_leaves_nothing_behind() {
        let flights = SingleFlight::<u8, u8>::new();
        let Entered::First(first) = flights.enter(&1).await else { panic!("nobody else is there") };
        let mut second = Box::pin(flights.enter(&1));
        assert!(futures::poll!(&mut second).is_pending());
        drop(second);
        drop(first);
        assert!(lock(&flights.flights).is_empty());
    }
}
