use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::Key;

/// Lets one of those who ask the same go at a time.
#[derive(Debug, Default)]
pub(super) struct SingleFlight {
    turns: Arc<Mutex<HashMap<Key, Weak<Turn<()>>>>>,
}

/// The turn of the first. The next has it when this one goes, however it ended.
#[derive(Debug)]
pub(super) struct First {
    key: Key,
    turns: Arc<Mutex<HashMap<Key, Weak<Turn<()>>>>>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl SingleFlight {
    /// Waits until no one before is on its way with the same.
    pub(super) async fn enter(&self, key: Key) -> First {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.get(&key).and_then(Weak::upgrade).unwrap_or_else(|| {
                let turn = Arc::new(Turn::new(()));
                turns.insert(key, Arc::downgrade(&turn));
                turn
            })
        };
        // Before it waits: whoever leaves the line last clears the place, whether its turn had come or not.
        let mut first = First { key, turns: Arc::clone(&self.turns), turn: None };
        first.turn = Some(turn.lock_owned().await);
        first
    }
}

impl Drop for First {
    fn drop(&mut self) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn = None;
        if turns.get(&self.key).is_some_and(|turn| turn.strong_count() == 0) {
            turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use agentscale_core::llm::{CompletionRequest, Message};
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_leaves_the_line_leaves_nothing_behind_also_when_its_turn_has_come() {
        let flight = SingleFlight::default();
        let key = Key::of(&CompletionRequest::new(vec![Message::user("x")]));
        let first = flight.enter(key).await;
        let mut waits = Box::pin(flight.enter(key));
        assert!((&mut waits).now_or_never().is_none());
        drop(first);
        drop(waits);
        assert!(flight.turns.lock().unwrap().is_empty());
    }
}
