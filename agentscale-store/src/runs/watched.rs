use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::runs::EventId;
use tokio::sync::{Notify, watch};

/// The streams of which somebody waits for the next event.
#[derive(Debug, Default)]
pub(super) struct Watched {
    streams: Mutex<Streams>,
    /// Told of each that is added.
    added: Notify,
}

#[derive(Debug, Default)]
struct Streams {
    by_name: HashMap<Arc<str>, Stream>,
    serial: u64,
}

#[derive(Debug)]
struct Stream {
    /// Tells it from those of the same name whose waits have ended.
    serial: u64,
    /// The lowest id behind which somebody waits.
    after: EventId,
    readers: usize,
    came: watch::Sender<Option<Came>>,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// There is something to read.
    Events,
    /// Redis failed.
    Failure,
}

/// One who waits.
pub(super) struct Reader<'a> {
    watched: &'a Watched,
    name: &'a str,
    serial: u64,
    came: watch::Receiver<Option<Came>>,
}

impl Watched {
    pub(super) fn add<'a>(&'a self, name: &'a str, after: EventId) -> Reader<'a> {
        let mut streams = self.streams();
        streams.serial += 1;
        let new = streams.serial;
        let stream = streams.by_name.entry(name.into()).or_insert_with(|| Stream {
            serial: new,
            after,
            readers: 0,
            came: watch::Sender::new(None),
        });
        stream.after = stream.after.min(after);
        stream.readers += 1;
        let (serial, came) = (stream.serial, stream.came.subscribe());
        drop(streams);
        self.added.notify_one();
        Reader { watched: self, name, serial, came }
    }

    /// Waits for one more to be added. For one consumer.
    pub(super) async fn added(&self) {
        self.added.notified().await;
    }

    /// All streams, and behind which id of each an event is waited for.
    pub(super) fn all(&self) -> Vec<(Arc<str>, EventId)> {
        self.streams().by_name.iter().map(|(name, stream)| (name.clone(), stream.after)).collect()
    }

    /// Ends the waits for a stream.
    pub(super) fn came(&self, name: &str) {
        if let Some(stream) = self.streams().by_name.remove(name) {
            stream.came.send_replace(Some(Came::Events));
        }
    }

    /// Ends all waits.
    pub(super) fn failed(&self) {
        for (_, stream) in self.streams().by_name.drain() {
            stream.came.send_replace(Some(Came::Failure));
        }
    }

    fn streams(&self) -> MutexGuard<'_, Streams> {
        // Nothing under the lock panics half way through a change.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// Waits until events came or Redis failed.
    pub(super) async fn came(mut self) -> Came {
        // A sender is dropped only once it has told.
        self.came.wait_for(Option::is_some).await.ok().and_then(|came| *came).unwrap_or(Came::Failure)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut streams = self.watched.streams();
        let Some(stream) = streams.by_name.get_mut(self.name) else { return };
        if stream.serial != self.serial {
            return;
        }
        stream.readers -= 1;
        if stream.readers == 0 {
            streams.by_name.remove(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use agentscale_core::runs::Epoch;
    use futures::FutureExt;

    use super::*;

    fn id(number: u64) -> EventId {
        EventId::new(Epoch::default(), number)
    }

    #[tokio::test]
    async fn all_who_wait_for_a_stream_are_told_and_no_others() {
        let watched = Watched::default();
        let (one, two, other) = (watched.add("a", id(7)), watched.add("a", id(5)), watched.add("b", id(1)));
        let mut all = watched.all();
        all.sort();
        assert_eq!(all, [("a".into(), id(5)), ("b".into(), id(1))]);
        watched.came("a");
        assert_eq!((one.came().await, two.came().await), (Came::Events, Came::Events));
        assert_eq!(other.came().now_or_never(), None);
        assert_eq!(watched.all(), []);
    }

    #[tokio::test]
    async fn one_who_leaves_late_leaves_those_alone_who_wait_anew() {
        let watched = Watched::default();
        let first = watched.add("a", id(1));
        watched.failed();
        let again = watched.add("a", id(2));
        assert_eq!(first.came().await, Came::Failure);
        assert_eq!(watched.all().len(), 1);
        drop(again);
        assert_eq!(watched.all(), []);
    }
}
