//! What all caches of a node share, and what its tasks work on.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use agentscale_core::Result;
use agentscale_core::metrics::Metrics;
use agentscale_core::time::Clock;
use tokio::sync::Notify;

use super::bus::{Message, TAGS};
use super::entry::{Entry, Origin, Taken};
use super::flight::SingleFlight;
use super::link::Link;
use super::memory::{Memory, MemoryKey};
use super::shared::{Looked, Place, Refused, Shared, SharedLayer};
use super::stats::NodeCounts;
use super::tag::TagId;
use super::tags::{Change, Tags, Used};
use super::untold::{Telling, Untold};
use super::{CacheConfig, InvalidationBus, Reach};

#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: CacheConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tags: Tags,
    pub(super) link: Link,
    pub(super) memory: Memory,
    pub(super) flights: SingleFlight<MemoryKey, Result<Arc<Entry>>>,
    pub(super) layer: Option<Arc<dyn SharedLayer>>,
    pub(super) bus: Option<Arc<dyn InvalidationBus>>,
    pub(super) untold: Untold,
    pub(super) counts: NodeCounts,
    pub(super) metrics: Metrics,
    pub(super) names: Mutex<HashMap<Arc<str>, (u32, TypeId)>>,
    /// Wakes up whoever listens when messages were lost.
    pub(super) lost: Notify,
    pub(super) sender: u64,
}

/// What was found before computing.
#[derive(Debug)]
pub(super) enum Took {
    Entry(Shared, Vec<Used>, Taken),
    Tags(Vec<Used>, Taken, Refused),
}

impl Core {
    /// The entry of a place in Redis, or the tags as they are before it is computed.
    pub(super) async fn take(&self, place: Option<&Place>, tags: &[TagId]) -> Took {
        // All of this is read before Redis is asked, so that what changes meanwhile shows.
        let (at, session, mark) = (self.clock.now(), self.link.session(), self.tags.mark());
        let used: Vec<_> = tags.iter().map(|id| self.tags.now(*id)).collect();
        let taken = |origin| Taken { origin, session, at };
        let Some(layer) = &self.layer else {
            return Took::Tags(used, taken(Origin::Process), Refused::Nothing);
        };
        if place.is_none() && tags.is_empty() {
            return Took::Tags(used, taken(Origin::Shared), Refused::Nothing);
        }
        let mut looked = layer.look(place, tags).await;
        let mut refused = Refused::Nothing;
        if let Ok(Looked::Entry(shared)) = looked {
            if let Some(used) = self.tags.since(mark, &shared.tags) {
                return Took::Entry(shared, used, taken(Origin::Shared));
            }
            refused = Refused::Changed;
            looked = layer.look(None, tags).await;
        }
        match looked {
            Ok(Looked::Versions(versions, changed)) if versions.len() == used.len() => {
                let used = used.into_iter().zip(versions).map(|(used, version)| used.at(version)).collect();
                Took::Tags(
                    used,
                    taken(Origin::Shared),
                    if changed == Refused::Changed { changed } else { refused },
                )
            }
            _ => {
                self.counts.failures.increment();
                Took::Tags(used, taken(Origin::Alone), refused)
            }
        }
    }

    /// Compares the tags of an entry with Redis.
    ///
    /// # Errors
    /// Those of Redis: then nothing is known.
    pub(super) async fn compare(&self, entry: &Entry) -> Result<bool> {
        let Some(layer) = &self.layer else { return Ok(true) };
        self.counts.checks.increment();
        let (at, session) = (self.clock.now(), self.link.session());
        let ids: Vec<_> = entry.used().iter().map(Used::id).collect();
        let versions = layer.versions(&ids).await.inspect_err(|_| self.counts.failures.increment())?;
        let is_same = entry.is_shared()
            && versions.len() == ids.len()
            && entry.used().iter().zip(&versions).all(|(used, version)| *version == Some(used.version()));
        if is_same {
            entry.confirmed(session, at);
        }
        for (id, version) in ids.into_iter().zip(versions) {
            if let Some(version) = version {
                self.tags.told(id, version);
            }
        }
        Ok(is_same && entry.is_current())
    }

    /// Makes what used these tags void here, and tells the other nodes.
    pub(super) async fn change(&self, ids: &[TagId]) -> Reach {
        self.counts.changed_here.add(ids.len() as u64);
        if self.layer.is_none() {
            ids.iter().for_each(|id| self.tags.changed(*id));
            return self.publish_alone(ids).await;
        }
        // All of them here, before anything is waited for.
        let changes: Vec<_> = ids.iter().map(|id| self.tags.change(*id)).collect();
        let mut telling: Vec<_> = Vec::with_capacity(1 + ids.len() / TAGS);
        let mut changes = changes.into_iter().peekable();
        while changes.peek().is_some() {
            telling.push(self.untold.tell(changes.by_ref().take(TAGS).collect()));
        }
        let mut reach = Reach::Everywhere;
        for telling in telling {
            if self.tell(telling).await.is_err() {
                reach = Reach::Here;
            }
        }
        reach
    }

    /// Tells Redis, and the other nodes.
    pub(super) async fn tell(&self, telling: Telling) -> Result<()> {
        let Some(layer) = &self.layer else { return Ok(()) };
        let tags: Vec<_> = telling.changes().iter().map(Change::id).collect();
        let first = layer.change(&tags).await.inspect_err(|_| self.counts.failures.increment())?;
        for (version, id) in (first..).zip(&tags) {
            self.tags.told(*id, version);
        }
        self.link.received(first, tags.len() as u64);
        telling.told();
        if let Some(bus) = &self.bus {
            let message = Message { sender: self.sender, first: Some(first), tags };
            // Whoever misses it finds out by the number.
            if bus.publish(message.encode()).await.is_err() {
                self.counts.failures.increment();
            }
        }
        Ok(())
    }

    /// Takes in a message of a node.
    pub(super) fn receive(&self, bytes: &[u8]) {
        let Some(message) = Message::decode(bytes) else {
            self.counts.malformed.increment();
            return;
        };
        self.counts.changed_elsewhere.add(message.tags.len() as u64);
        match message.first.filter(|_| self.layer.is_some()) {
            Some(first) => {
                for (at, id) in (0..).zip(&message.tags) {
                    self.tags.told(*id, first.saturating_add(at));
                }
                self.link.received(first, message.tags.len() as u64);
            }
            None if message.sender == self.sender => {}
            None => message.tags.iter().for_each(|id| self.tags.changed(*id)),
        }
    }

    /// Forgets everything that was held before.
    pub(super) fn void(&self) {
        self.tags.void();
        self.memory.clear();
    }

    async fn publish_alone(&self, ids: &[TagId]) -> Reach {
        let Some(bus) = &self.bus else { return Reach::Everywhere };
        let mut reach = Reach::Everywhere;
        for tags in ids.chunks(TAGS) {
            let message = Message { sender: self.sender, first: None, tags: tags.to_vec() };
            if bus.publish(message.encode()).await.is_err() {
                self.counts.failures.increment();
                reach = Reach::Here;
            }
        }
        reach
    }
}
