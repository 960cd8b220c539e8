//! Races, over a layer whose answers a test holds back.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::time::ManualClock;
use agentscale_core::{Error, ErrorKind, Result, Tenant};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, poll};
use tokio::sync::Mutex;

use super::shared::{Looked, Place, Refused, Shared, SharedLayer, Versions, Window};
use super::tag::TagId;
use super::{
    Cache, CacheConfig, CacheKey, CachePolicy, Invalidation, InvalidationBus, NodeCache, Reach, Tag, TagKind,
};

/// Entries and versions as Redis has them. Whoever holds `gate` keeps answers back, which were made before.
#[derive(Debug, Default)]
struct Layer {
    state: std::sync::Mutex<State>,
    gate: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    versions: std::collections::HashMap<TagId, u64>,
    entries: Vec<(Place, Vec<u8>, Versions)>,
    is_gone: bool,
}

impl Layer {
    async fn answer<T>(&self, answer: impl FnOnce(&mut State) -> T) -> Result<T> {
        let answer = {
            let mut state = self.state.lock().unwrap();
            if state.is_gone {
                return Err(Error::new(ErrorKind::Unavailable, "ask redis"));
            }
            answer(&mut state)
        };
        let _open = self.gate.lock().await;
        Ok(answer)
    }

    fn gone(&self, is_gone: bool) {
        self.state.lock().unwrap().is_gone = is_gone;
    }
}

#[async_trait]
impl SharedLayer for Layer {
    async fn look(&self, place: Option<&Place>, tags: &[TagId]) -> Result<Looked> {
        self.answer(|state| {
            let held = place.and_then(|place| state.entries.iter().rev().find(|entry| entry.0 == *place));
            let mut refused = Refused::Nothing;
            if let Some((_, value, tags)) = held {
                if tags.iter().all(|(id, version)| state.versions.get(id) == Some(version)) {
                    let left = Duration::from_secs(60);
                    return Looked::Entry(Shared { value: value.clone(), tags: tags.clone(), left });
                }
                refused = Refused::Changed;
            }
            let last = state.last;
            let versions = tags.iter().map(|id| *state.versions.entry(*id).or_insert(last)).collect();
            Looked::Versions(versions, refused)
        })
        .await
    }

    async fn hold(&self, place: &Place, value: Vec<u8>, tags: &[(TagId, u64)], _: Duration) -> Result<bool> {
        self.answer(|state| state.entries.push((place.clone(), value, tags.to_vec()))).await.map(|()| true)
    }

    async fn versions(&self, tags: &[TagId]) -> Result<Vec<Option<u64>>> {
        self.answer(|state| tags.iter().map(|id| state.versions.get(id).copied()).collect()).await
    }

    async fn change(&self, tags: &[TagId]) -> Result<u64> {
        self.answer(|state| {
            let first = state.last + 1;
            for id in tags {
                state.last += 1;
                state.versions.insert(*id, state.last);
            }
            first
        })
        .await
    }

    async fn last_change(&self) -> Result<u64> {
        self.answer(|state| state.last).await
    }

    async fn count(&self, _: &Place, n: u64, _: Duration) -> Result<Window> {
        self.answer(|_| Window { now: 100 + n, before: 0, into: Duration::ZERO }).await
    }

    fn bus(&self) -> Arc<dyn InvalidationBus> {
        Arc::new(Silent)
    }
}

/// Loses each message.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl InvalidationBus for Silent {
    async fn publish(&self, _: Bytes) -> Result<()> {
        Ok(())
    }

    async fn subscribe(&self) -> Result<BoxStream<'static, Bytes>> {
        Ok(futures::stream::pending().boxed())
    }
}

struct Node {
    node: NodeCache,
    cache: Cache<u64>,
    clock: ManualClock,
}

fn node(layer: &Arc<Layer>) -> Node {
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(100));
    let builder = NodeCache::builder(CacheConfig::default()).with_clock(Arc::new(clock.clone()));
    let node = builder.with_layer(Arc::clone(layer) as Arc<dyn SharedLayer>).build().unwrap();
    let minutes = Duration::from_secs(300);
    let policy = CachePolicy::new().with_in_process(minutes).with_shared(minutes);
    let cache = node.named("numbers", policy, Invalidation::ByKey).unwrap();
    Node { node, cache, clock }
}

fn layer() -> Arc<Layer> {
    let layer = Layer::default();
    layer.state.lock().unwrap().last = 1_000;
    Arc::new(layer)
}

fn key() -> CacheKey {
    CacheKey::new(&Tenant::new("acme").unwrap(), "key")
}

fn file(name: &str) -> Tag {
    Tag::new(&Tenant::new("acme").unwrap(), TagKind::File, name)
}

impl Node {
    async fn ask(&self, value: u64) -> u64 {
        *self.cache.get_or_compute(&key(), &[file("a")], |_| async move { Ok(value) }).await.unwrap()
    }
}

/// The entry left Redis before the change, and arrives after the change was done here.
#[tokio::test]
async fn an_entry_that_redis_gave_before_a_change_is_not_held_after_it() {
    let layer = layer();
    let (here, there) = (node(&layer), node(&layer));
    assert_eq!(there.ask(1).await, 1);
    let gate = layer.gate.lock().await;
    let key = key();
    let mut late = Box::pin(here.cache.get(&key));
    assert!(poll!(&mut late).is_pending());
    let tags = [file("a")];
    let mut change = Box::pin(here.node.changed(&tags));
    assert!(poll!(&mut change).is_pending());
    drop(gate);
    let (late, reach) = tokio::join!(late, change);
    assert_eq!((late, reach), (None, Reach::Everywhere));
    assert_eq!(here.ask(2).await, 2);
}

#[tokio::test]
async fn a_value_that_was_computed_from_before_a_change_is_not_held_after_it() {
    let layer = layer();
    let (here, there) = (node(&layer), node(&layer));
    let (key, tags) = (key(), [file("a")]);
    let changed = async |by: &Node| {
        let compute = async |by: &Node| {
            assert_eq!(by.node.changed(&tags).await, Reach::Everywhere);
            Ok(1)
        };
        let computed = here.cache.get_or_compute(&key, &tags, |_| compute(by)).await;
        assert_eq!(*computed.unwrap(), 1);
    };
    changed(&here).await;
    assert_eq!(here.cache.get(&key).await, None);
    // By another node, whose message is lost: the entry is within what was known when it began.
    changed(&there).await;
    here.clock.advance(Duration::from_secs(3));
    assert_eq!(here.cache.get(&key).await, None);
    assert_eq!(there.cache.get(&key).await, None);
}

#[tokio::test]
async fn a_lost_message_is_found_within_its_bound() {
    let layer = layer();
    let (here, there) = (node(&layer), node(&layer));
    assert_eq!((here.ask(1).await, there.ask(2).await), (1, 1));
    let _ = there.node.changed(&[file("a")]).await;
    assert_eq!(there.ask(2).await, 2);
    here.clock.advance(Duration::from_millis(1_900));
    assert_eq!(here.ask(3).await, 1);
    here.clock.advance(Duration::from_millis(101));
    assert_eq!(here.ask(3).await, 2);
    assert_eq!((here.cache.stats().refused, here.node.stats().checks), (1, 1));
}

/// It is compared once, and given for as long again.
#[tokio::test]
async fn what_is_unchanged_stays_where_messages_are_lost() {
    let layer = layer();
    let (here, there) = (node(&layer), node(&layer));
    assert_eq!(here.ask(1).await, 1);
    let _ = there.node.changed(&[file("another")]).await;
    here.clock.advance(Duration::from_secs(5));
    for _ in 0..10 {
        assert_eq!(here.ask(2).await, 1);
    }
    assert_eq!((here.node.stats().checks, here.cache.stats().misses), (1, 1));
}

#[tokio::test]
async fn without_redis_an_entry_lives_its_shorter_time_and_changes_hold_here() {
    let layer = layer();
    let here = node(&layer);
    assert_eq!(here.ask(1).await, 1);
    layer.gone(true);
    here.clock.advance(Duration::from_secs(10));
    assert_eq!(here.ask(2).await, 1);
    assert_eq!(here.cache.stats().alone, 1);
    here.clock.advance(Duration::from_millis(1));
    assert_eq!(here.ask(2).await, 2);
    // Held from now on, for the same time.
    here.clock.advance(Duration::from_secs(10));
    assert_eq!(here.ask(3).await, 2);
    assert_eq!(here.node.changed(&[file("a")]).await, Reach::Here);
    assert_eq!(here.ask(4).await, 4);
    assert_eq!(here.node.stats().untold, 1);
}

/// Redis has the entry still, and knows nothing of the change.
#[tokio::test(start_paused = true)]
async fn a_change_that_redis_missed_is_told_when_it_is_back() {
    let layer = layer();
    let (here, there) = (node(&layer), node(&layer));
    assert_eq!(there.ask(1).await, 1);
    layer.gone(true);
    assert_eq!(here.node.changed(&[file("a")]).await, Reach::Here);
    layer.gone(false);
    assert_eq!(here.cache.get(&key()).await, None);
    assert_eq!(here.ask(2).await, 2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(here.node.stats().untold, 0);
    there.clock.advance(Duration::from_secs(3));
    assert_eq!(there.cache.get(&key()).await, None);
    assert_eq!(here.ask(3).await, 3);
}

/// The computing of a value that was taken alone is not mistaken for one that Redis knows of.
#[tokio::test]
async fn what_was_computed_without_redis_is_computed_anew_with_it() {
    let layer = layer();
    let (here, there) = (node(&layer), node(&layer));
    layer.gone(true);
    assert_eq!(here.ask(1).await, 1);
    layer.gone(false);
    let _ = there.node.changed(&[file("a")]).await;
    here.clock.advance(Duration::from_secs(3));
    assert_eq!(here.ask(2).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_redis_that_counts_from_before_makes_everything_void() {
    let layer = layer();
    let here = node(&layer);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(here.ask(1).await, 1);
    *layer.state.lock().unwrap() = State { last: 5, ..State::default() };
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(here.ask(2).await, 2);
    assert_eq!(here.ask(3).await, 2);
}

/// Who joined after the change asked after it.
#[tokio::test]
async fn a_request_behind_a_change_does_not_get_what_was_begun_before_it() {
    let layer = layer();
    let here = node(&layer);
    let (begin, begun) = tokio::sync::oneshot::channel::<()>();
    let (key, tags) = (key(), [file("a")]);
    let mut first = Box::pin(here.cache.get_or_compute(&key, &tags, |_| async move {
        begun.await.unwrap();
        Ok(1)
    }));
    assert!(poll!(&mut first).is_pending());
    assert_eq!(here.node.changed(&tags).await, Reach::Everywhere);
    let mut second = Box::pin(here.cache.get_or_compute(&key, &tags, |_| async { Ok(2) }));
    assert!(poll!(&mut second).is_pending());
    begin.send(()).unwrap();
    let (first, second) = tokio::join!(first, second);
    assert_eq!((*first.unwrap(), *second.unwrap()), (1, 2));
    assert_eq!(here.ask(3).await, 2);
}

#[tokio::test]
async fn a_counter_goes_on_with_what_was_counted_here_while_redis_is_gone() {
    let layer = layer();
    let here = node(&layer);
    let counters = here.node.counters();
    let all = counters.add(&key(), 3).await;
    assert_eq!((all.count, all.reach), (103, Reach::Everywhere));
    layer.gone(true);
    let own = counters.add(&key(), 2).await;
    assert_eq!((own.count, own.reach), (5, Reach::Here));
}
