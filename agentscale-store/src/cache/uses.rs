use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::{Error, ErrorKind, Result};

use super::CacheScope;
use super::core::{Core, Took};
use super::entry::{Origin, Taken};
use super::tag::{Tag, TagId};
use super::tags::Used;

/// Tags of an entry, at most; what used more is not held.
pub(super) const MAX_TAGS: usize = 1_024;

/// What an entry that is being computed uses. Clones are of the same entry.
#[derive(Clone, Debug)]
pub struct Uses {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    core: Arc<Core>,
    scope: CacheScope,
    taken: Mutex<(Vec<Used>, Taken)>,
}

impl Uses {
    pub(super) fn new(core: &Arc<Core>, scope: &CacheScope, used: Vec<Used>, taken: Taken) -> Self {
        let inner = Inner { core: Arc::clone(core), scope: scope.clone(), taken: Mutex::new((used, taken)) };
        Self { inner: Arc::new(inner) }
    }

    /// Names a thing **before** it is read, so that a change between the two makes the entry void. With Redis it is a
    /// round trip for all of them; name them at once.
    ///
    /// # Errors
    /// `invalid_input` for a tag of another tenant's.
    pub async fn add(&self, tags: &[Tag]) -> Result<()> {
        let ids = ids(&self.inner.scope, tags)?;
        let new: Vec<_> = {
            let taken = self.taken();
            ids.into_iter().filter(|id| taken.0.iter().all(|used| used.id() != *id)).collect()
        };
        if new.is_empty() || self.is_full() {
            return Ok(());
        }
        let Took::Tags(used, taken, _) = self.inner.core.take(None, &new).await else { return Ok(()) };
        let mut all = self.taken();
        all.0.extend(used);
        if taken.origin == Origin::Alone {
            all.1.origin = Origin::Alone;
        }
        Ok(())
    }

    /// What was used, when it was taken, and whether it is few enough.
    pub(super) fn take(&self) -> Option<(Vec<Used>, Taken)> {
        if self.is_full() {
            return None;
        }
        let taken = self.taken();
        Some((taken.0.clone(), taken.1))
    }

    fn is_full(&self) -> bool {
        self.taken().0.len() > MAX_TAGS
    }

    fn taken(&self) -> MutexGuard<'_, (Vec<Used>, Taken)> {
        self.inner.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ids of tags, each once, that an entry of this scope may use.
pub(super) fn ids(scope: &CacheScope, tags: &[Tag]) -> Result<Vec<TagId>> {
    let mut ids = Vec::with_capacity(tags.len() + 1);
    for tag in tags {
        if !scope.may_use(&tag.scope) {
            let error = Error::new(ErrorKind::InvalidInput, "use a tag");
            return Err(error.with_context("reason", "it is another tenant's"));
        }
        if !ids.contains(&tag.id) {
            ids.push(tag.id);
        }
    }
    Ok(ids)
}
