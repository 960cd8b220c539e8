use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::time::Monotonic;

use super::link::Link;
use super::tags::Used;

/// What an entry takes beside its value, and each tag of it, roughly.
const ENTRY_BYTES: usize = 256;
const TAG_BYTES: usize = 160;

/// A value, and what it was made of.
pub(super) struct Entry {
    value: Arc<dyn Any + Send + Sync>,
    bytes: usize,
    used: Box<[Used]>,
    origin: Origin,
    taken_at: Monotonic,
    expires: Monotonic,
    session: AtomicU64,
    /// When its tags were as they are here, in nanoseconds.
    as_of: AtomicU64,
}

/// Where the versions of an entry's tags come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// This process alone, which has no other.
    Process,
    /// Redis.
    Shared,
    /// This process, as Redis did not answer.
    Alone,
}

/// When an entry's tags were taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) origin: Origin,
    pub(super) session: u64,
    pub(super) at: Monotonic,
}

/// Whether an entry can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Good,
    /// A tag of it changed.
    Changed,
    /// Its time is over.
    Old,
    /// Redis has to be asked.
    Unsure,
}

impl Entry {
    pub(super) fn new(
        value: Arc<dyn Any + Send + Sync>,
        bytes: usize,
        used: Vec<Used>,
        taken: Taken,
    ) -> Self {
        Self {
            value,
            bytes,
            used: used.into(),
            origin: taken.origin,
            taken_at: taken.at,
            expires: Monotonic::ZERO,
            session: AtomicU64::new(taken.session),
            as_of: AtomicU64::new(taken.at.as_nanos()),
        }
    }

    /// Sets when its time is over.
    pub(super) fn until(mut self, expires: Monotonic) -> Self {
        self.expires = expires;
        self
    }

    pub(super) fn taken_at(&self) -> Monotonic {
        self.taken_at
    }

    /// For how long it can still be given.
    pub(super) fn left(&self, now: Monotonic) -> Duration {
        self.expires.since(now)
    }

    pub(super) fn value<V: Send + Sync + 'static>(&self) -> Option<Arc<V>> {
        Arc::clone(&self.value).downcast().ok()
    }

    pub(super) fn used(&self) -> &[Used] {
        &self.used
    }

    pub(super) fn is_shared(&self) -> bool {
        self.origin == Origin::Shared
    }

    pub(super) fn is_current(&self) -> bool {
        self.used.iter().all(Used::is_current)
    }

    pub(super) fn judge(&self, now: Monotonic, link: &Link, at_most: Duration) -> Judged {
        if now >= self.expires {
            return Judged::Old;
        }
        if !self.is_current() {
            return Judged::Changed;
        }
        // Without tags nothing can change.
        if self.origin == Origin::Process || self.used.is_empty() || self.is_fresh(now, link, at_most) {
            return Judged::Good;
        }
        Judged::Unsure
    }

    /// Whether its tags are known to have been as they are here, so long ago at most.
    pub(super) fn is_fresh(&self, now: Monotonic, link: &Link, at_most: Duration) -> bool {
        let session = self.session.load(Ordering::Acquire);
        let as_of = Monotonic::from_nanos(self.as_of.load(Ordering::Acquire));
        now.since(as_of) <= at_most || (self.is_shared() && link.is_fresh(session, now, at_most))
    }

    /// When its tags were last known to be as they are here.
    pub(super) fn as_of(&self, link: &Link) -> Monotonic {
        let own = Monotonic::from_nanos(self.as_of.load(Ordering::Acquire));
        let known = link.known_until(self.session.load(Ordering::Acquire));
        known.filter(|_| self.is_shared()).map_or(own, |known| known.max(own))
    }

    /// Redis, asked at a time in a session, said that its tags are as they are here.
    pub(super) fn confirmed(&self, session: u64, at: Monotonic) {
        self.as_of.fetch_max(at.as_nanos(), Ordering::AcqRel);
        self.session.store(session, Ordering::Release);
    }

    pub(super) fn weight(&self) -> u32 {
        u32::try_from(ENTRY_BYTES + self.bytes + self.used.len() * TAG_BYTES).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("bytes", &self.bytes)
            .field("used", &self.used.len())
            .finish_non_exhaustive()
    }
}
