use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::core::{Core, Took};
use super::entry::{Entry, Judged, Taken};
use super::flight::Entered;
use super::memory::MemoryKey;
use super::shared::{Place, Refused, Shared};
use super::stats::CacheCounts;
use super::tag::TagId;
use super::tags::Used;
use super::uses::{Uses, ids};
use super::{CacheKey, CachePolicy, CacheStats, Invalidation, NodeCache, Reach, Tag};

/// The entries of one type of data. Clones share them.
pub struct Cache<V> {
    node: NodeCache,
    name: Arc<str>,
    number: u32,
    invalidation: Invalidation,
    /// How long memory holds an entry, and how long Redis does.
    in_process: Option<Duration>,
    shared: Option<Duration>,
    counts: CacheCounts,
    values: PhantomData<fn() -> V>,
}

/// What memory says of an entry.
enum Given {
    InProcess,
    Alone,
}

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Cache<V> {
    pub(super) fn new(
        node: NodeCache,
        name: Arc<str>,
        number: u32,
        policy: CachePolicy,
        invalidation: Invalidation,
    ) -> Result<Self> {
        let (in_process, shared) = match node.core().layer {
            Some(_) => (policy.in_process, policy.shared),
            // Memory stands for the Redis that is not there.
            None => (policy.in_process.or(policy.shared), None),
        };
        let counts = CacheCounts::new(&node.core().metrics, &name)?;
        Ok(Self { node, name, number, invalidation, in_process, shared, counts, values: PhantomData })
    }

    /// The entry, where one is held.
    pub async fn get(&self, key: &CacheKey) -> Option<Arc<V>> {
        if let Some(value) = self.near(key).await {
            return Some(value);
        }
        if self.shared.is_some()
            && let Took::Entry(shared, used, taken) = self.take(key, &[]).await
            && let Some(entry) = self.read(key, &shared, used, taken)
        {
            self.counts.shared.increment();
            return entry.value();
        }
        self.counts.misses.increment();
        None
    }

    /// The entry; where none is held, what `compute` gives, which is held from then on.
    ///
    /// `compute` reads what `tags` name, and [names](Uses::add) what else it uses before it reads it. Where one of them
    /// changes meanwhile its value is given to who asked before the change and not held. Requests for the same key wait
    /// for the one that computes, and get its value or its error; where it goes away, the next of them computes. It must
    /// not ask for its own key.
    ///
    /// # Errors
    /// Those of `compute`; `invalid_input` for a tag of another tenant's.
    ///
    /// # Cancel safety
    /// Dropped at any await, nothing half-made is held, and the next in line computes.
    pub async fn get_or_compute<F, C>(&self, key: &CacheKey, tags: &[Tag], compute: F) -> Result<Arc<V>>
    where
        F: FnOnce(Uses) -> C,
        C: Future<Output = Result<V>>,
    {
        if let Some(value) = self.near(key).await {
            return Ok(value);
        }
        let tags = self.tags(key, tags)?;
        let core = self.core();
        if self.in_process.is_none() && self.shared.is_none() {
            self.counts.misses.increment();
            let Took::Tags(used, taken, _) = core.take(None, &[]).await else { return Err(impossible()) };
            return compute(Uses::new(core, &key.scope, used, taken)).await.map(Arc::new);
        }
        let first = loop {
            match core.flights.enter(&self.place(key)).await {
                Entered::First(first) => break first,
                Entered::Made(made) => {
                    // It was begun before this request: what changed meanwhile shows in its tags.
                    let entry = made?;
                    if self.judge(&entry).await.is_some()
                        && let Some(value) = entry.value()
                    {
                        self.counts.joined.increment();
                        return Ok(value);
                    }
                }
            }
        };
        if let Some(value) = self.near(key).await {
            return Ok(value);
        }
        let (used, taken) = match self.take(key, &tags).await {
            Took::Tags(used, taken, _) => (used, taken),
            Took::Entry(shared, used, taken) => match self.read(key, &shared, used, taken) {
                Some(entry) => {
                    first.make(Ok(Arc::clone(&entry)));
                    self.counts.shared.increment();
                    return entry.value().ok_or_else(impossible);
                }
                None => match core.take(None, &tags).await {
                    Took::Tags(used, taken, _) => (used, taken),
                    Took::Entry(..) => return Err(impossible()),
                },
            },
        };
        self.counts.misses.increment();
        let uses = Uses::new(core, &key.scope, used, taken);
        let value = match compute(uses.clone()).await {
            Ok(value) => Arc::new(value),
            Err(error) => {
                first.make(Err(error.clone()));
                return Err(error);
            }
        };
        let Some((entry, encoded)) = self.made(&value, &uses) else {
            self.counts.left_out.increment();
            return Ok(value);
        };
        self.hold(key, &entry);
        first.make(Ok(Arc::clone(&entry)));
        self.share(key, &entry, encoded).await;
        Ok(value)
    }

    /// Holds a value that is made here and now, such as the session of a login.
    ///
    /// What was read elsewhere goes through [`get_or_compute`](Self::get_or_compute): a change between its reading and
    /// this call would not be seen.
    ///
    /// # Errors
    /// `invalid_input` for a tag of another tenant's.
    pub async fn put(&self, key: &CacheKey, value: V, tags: &[Tag]) -> Result<Arc<V>> {
        let tags = self.tags(key, tags)?;
        let Took::Tags(used, taken, _) = self.core().take(None, &tags).await else {
            return Err(impossible());
        };
        let value = Arc::new(value);
        match self.made(&value, &Uses::new(self.core(), &key.scope, used, taken)) {
            Some((entry, encoded)) => {
                self.hold(key, &entry);
                self.share(key, &entry, encoded).await;
            }
            None => self.counts.left_out.increment(),
        }
        Ok(value)
    }

    /// Says that the thing under a key changed: a definition was updated, a session ended. The entry is void on every
    /// node, and with it all that [used its tag](Self::tag).
    ///
    /// # Errors
    /// `unsupported` for a type whose entries have no tag of their own.
    pub async fn changed(&self, key: &CacheKey) -> Result<Reach> {
        let tag = self.tag(key).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "change an entry").with_context("cache", &self.name)
        })?;
        Ok(self.node.changed(&[tag]).await)
    }

    /// The tag that an entry of this key has without being told; `None` for a type whose entries have none.
    pub fn tag(&self, key: &CacheKey) -> Option<Tag> {
        match self.invalidation {
            Invalidation::OnChange(kind) => Some(Tag::of_key(kind, key)),
            Invalidation::ByKey | Invalidation::ByWindow => None,
        }
    }

    /// What was given so far.
    pub fn stats(&self) -> CacheStats {
        self.counts.read()
    }

    async fn near(&self, key: &CacheKey) -> Option<Arc<V>> {
        self.in_process?;
        let place = self.place(key);
        let entry = self.core().memory.find(&place)?;
        let Some(given) = self.judge(&entry).await else {
            self.core().memory.forget(&place);
            return None;
        };
        match given {
            Given::InProcess => self.counts.in_process.increment(),
            Given::Alone => self.counts.alone.increment(),
        }
        entry.value()
    }

    async fn judge(&self, entry: &Entry) -> Option<Given> {
        let core = self.core();
        match entry.judge(core.clock.now(), &core.link, core.config.stale_at_most) {
            Judged::Good => Some(Given::InProcess),
            Judged::Old => None,
            Judged::Changed => {
                self.counts.refused.increment();
                None
            }
            Judged::Unsure => match core.compare(entry).await {
                Ok(true) => Some(Given::InProcess),
                Ok(false) => {
                    self.counts.refused.increment();
                    None
                }
                Err(_) => {
                    let age = core.clock.now().since(entry.as_of(&core.link));
                    (age <= core.config.stale_alone).then_some(Given::Alone)
                }
            },
        }
    }

    async fn take(&self, key: &CacheKey, tags: &[TagId]) -> Took {
        let place = self.shared.map(|_| Place { cache: Arc::clone(&self.name), key: key.clone() });
        let took = self.core().take(place.as_ref(), tags).await;
        if let Took::Tags(_, _, Refused::Changed) = took {
            self.counts.refused.increment();
        }
        took
    }

    /// An entry of Redis, which memory holds from now on, no longer than Redis does.
    fn read(&self, key: &CacheKey, shared: &Shared, used: Vec<Used>, taken: Taken) -> Option<Arc<Entry>> {
        let value: V = match serde_json::from_slice(&shared.value) {
            Ok(value) => value,
            Err(error) => {
                // Another version of the host may have written it.
                tracing::debug!(%error, cache = %self.name, "an entry is not of this type");
                return None;
            }
        };
        let ttl = self.in_process.map_or(shared.left, |ttl| ttl.min(shared.left));
        let entry = Entry::new(Arc::new(value), shared.value.len(), used, taken).until(taken.at + ttl);
        let entry = Arc::new(entry);
        self.hold(key, &entry);
        Some(entry)
    }

    fn made(&self, value: &Arc<V>, uses: &Uses) -> Option<(Arc<Entry>, Vec<u8>)> {
        let (used, taken) = uses.take()?;
        let encoded = serde_json::to_vec(&**value).ok()?;
        let ttl = self.in_process.or(self.shared).unwrap_or_default();
        let value: Arc<V> = Arc::clone(value);
        let entry = Entry::new(value, encoded.len(), used, taken).until(taken.at + ttl);
        Some((Arc::new(entry), encoded))
    }

    fn hold(&self, key: &CacheKey, entry: &Arc<Entry>) {
        if self.in_process.is_some() && entry.is_current() {
            self.core().memory.hold(self.place(key), Arc::clone(entry), self.core().clock.now());
        }
    }

    /// Hands a value to Redis.
    async fn share(&self, key: &CacheKey, entry: &Entry, encoded: Vec<u8>) {
        let core = self.core();
        let (Some(layer), Some(ttl)) = (&core.layer, self.shared) else { return };
        let left = ttl.saturating_sub(core.clock.now().since(entry.taken_at()));
        if !entry.is_shared() || !entry.is_current() || left.is_zero() {
            return;
        }
        let place = Place { cache: Arc::clone(&self.name), key: key.clone() };
        let tags: Vec<_> = entry.used().iter().map(|used| (used.id(), used.version())).collect();
        match layer.hold(&place, encoded, &tags, left).await {
            Ok(true) => {}
            Ok(false) => self.counts.left_out.increment(),
            Err(_) => core.counts.failures.increment(),
        }
    }

    fn tags(&self, key: &CacheKey, tags: &[Tag]) -> Result<Vec<TagId>> {
        let mut ids = ids(&key.scope, tags)?;
        if let Some(own) = self.tag(key)
            && !ids.contains(&own.id)
        {
            ids.push(own.id);
        }
        Ok(ids)
    }

    fn place(&self, key: &CacheKey) -> MemoryKey {
        MemoryKey { cache: self.number, hash: key.hash }
    }

    fn core(&self) -> &Arc<Core> {
        self.node.core()
    }
}

/// A place that holds another type than was put there.
fn impossible() -> Error {
    Error::new(ErrorKind::Internal, "read an entry")
}

impl<V> Clone for Cache<V> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            name: Arc::clone(&self.name),
            number: self.number,
            invalidation: self.invalidation,
            in_process: self.in_process,
            shared: self.shared,
            counts: self.counts.clone(),
            values: PhantomData,
        }
    }
}

impl<V> fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("name", &self.name).finish_non_exhaustive()
    }
}
