use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::Result;
use async_trait::async_trait;

use super::tag::TagId;
use super::{CacheKey, InvalidationBus};

/// What nodes share: entries, and a version of each tag, which rises with each change. Each call ends within a bounded
/// time.
#[async_trait]
pub(super) trait SharedLayer: Debug + Send + Sync + 'static {
    /// The entry, where it is held and each of its tags has the version that it was made at. Otherwise the versions of
    /// `tags`; one that has none is given one.
    async fn look(&self, place: Option<&Place>, tags: &[TagId]) -> Result<Looked>;

    /// Holds an entry, unless a tag has another version by now, or the value is too large; whether it is held.
    async fn hold(&self, place: &Place, value: Vec<u8>, tags: &[(TagId, u64)], ttl: Duration)
    -> Result<bool>;

    /// The versions that tags have.
    async fn versions(&self, tags: &[TagId]) -> Result<Vec<Option<u64>>>;

    /// Gives each tag the next version: the first of them, the others follow. These are the numbers of the changes, too.
    async fn change(&self, tags: &[TagId]) -> Result<u64>;

    /// The number of the last change of any tag.
    async fn last_change(&self) -> Result<u64>;

    /// Adds to what is counted under a key within windows of this length.
    async fn count(&self, place: &Place, n: u64, window: Duration) -> Result<Window>;

    /// What carries messages where no other bus is given.
    fn bus(&self) -> Arc<dyn InvalidationBus>;
}

/// Tags, each with a version.
pub(super) type Versions = Vec<(TagId, u64)>;

/// Where an entry is held: in which cache, under which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cache: Arc<str>,
    pub(super) key: CacheKey,
}

/// What was counted in this window and in the one before it, and how far this one has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) now: u64,
    pub(super) before: u64,
    pub(super) into: Duration,
}

/// What a look gave.
#[derive(Clone, Debug)]
#[cfg_attr(not(any(feature = "redis", test)), allow(dead_code, reason = "only what is shared gives them"))]
pub(super) enum Looked {
    Entry(Shared),
    /// With whether an entry was refused for a tag of it.
    Versions(Vec<u64>, Refused),
}

/// Whether an entry was there that could not be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Nothing,
    Changed,
}

/// An entry that other nodes may have made.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) value: Vec<u8>,
    pub(super) tags: Versions,
    /// For how long it is still held.
    pub(super) left: Duration,
}
