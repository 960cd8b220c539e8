use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentscale_core::Tenant;
use agentscale_core::time::Monotonic;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::affinity::jump;
use super::desk::Desk;
use super::health::Health;
use super::key::Key;
use super::quota::Tokens;
use super::reservation::Reservation;

/// The keys through which one class of models is called.
#[derive(Debug)]
pub(crate) struct Pool {
    keys: Vec<Arc<Key>>,
    /// Those that everyone may use, by their places.
    common: Vec<usize>,
    /// Those that a tenant may use beside them.
    own: HashMap<Tenant, Vec<usize>>,
    choice: KeyChoice,
    next: AtomicUsize,
    health: Arc<Health>,
}

/// How a pool chooses among the keys that have room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyChoice {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one of two drawn by chance that has the greater share of its limits free, where a key counts the less the more
    /// of its calls have failed of late.
    TwoChoices,
}

/// The tenants that may use a key.
#[derive(Debug)]
pub(crate) enum Allowed {
    Everyone,
    These(HashSet<Tenant>),
}

/// The keys that a tenant may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eligible<'a> {
    keys: &'a [Arc<Key>],
    own: &'a [usize],
    common: &'a [usize],
}

/// Why a pool gives no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// None of its keys serves this tenant, or all of those are taken out of use.
    NoneServes,
    /// There may be room after this time; `None` where that is when a call in flight ends.
    NoRoom(Option<Duration>),
}

impl Pool {
    pub(crate) fn new(keys: Vec<(Arc<Key>, Allowed)>, choice: KeyChoice, health: Arc<Health>) -> Self {
        let (mut common, mut own) = (Vec::new(), HashMap::<_, Vec<_>>::new());
        for (place, (_, allowed)) in keys.iter().enumerate() {
            match allowed {
                Allowed::Everyone => common.push(place),
                Allowed::These(tenants) => {
                    tenants.iter().for_each(|tenant| own.entry(tenant.clone()).or_default().push(place));
                }
            }
        }
        let keys = keys.into_iter().map(|(key, _)| key).collect();
        Self { keys, common, own, choice, next: AtomicUsize::new(0), health }
    }

    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    pub(crate) fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    pub(crate) fn eligible(&self, tenant: Option<&Tenant>) -> Eligible<'_> {
        let own = tenant.and_then(|tenant| self.own.get(tenant)).map_or(&[][..], Vec::as_slice);
        Eligible { keys: &self.keys, own, common: &self.common }
    }

    /// Reserves a call of `tokens` on a key that serves `tenant`; those with one affinity on the same key while it
    /// has room, so that the provider's prompt cache is found again.
    pub(crate) fn reserve(
        &self,
        tenant: Option<&Tenant>,
        affinity: Option<u64>,
        tokens: Tokens,
        spent: &[Arc<str>],
        desk: &Arc<Desk>,
    ) -> Result<Reservation, NoKey> {
        let eligible = self.eligible(tenant);
        if eligible.len() == 0 {
            return Err(NoKey::NoneServes);
        }
        let now = desk.now();
        let permit = self.health.enter().map_err(NoKey::NoRoom)?;
        let mut no_key = NoKey::NoneServes;
        let first = self.first(eligible, affinity, now);
        for key in eligible.starting_at(first).filter(|key| !spent.contains(key.id())) {
            let refused = match key.cool_left(now) {
                Some(left) => Some(left),
                None => {
                    let quota = key.quota();
                    match quota.take(tokens, now) {
                        Ok(taken) => {
                            let (key, quota, desk) = (Arc::clone(key), Arc::clone(quota), Arc::clone(desk));
                            return Ok(Reservation::new(key, quota, desk, Some(permit), taken));
                        }
                        Err(wait) => wait,
                    }
                }
            };
            no_key = no_key.or(refused);
        }
        Err(no_key)
    }

    /// The place of the key that is tried first.
    fn first(&self, eligible: Eligible<'_>, affinity: Option<u64>, now: Monotonic) -> usize {
        let keys = eligible.len();
        if let Some(number) = affinity {
            return jump(number, keys);
        }
        match self.choice {
            KeyChoice::RoundRobin => self.next.fetch_add(1, Ordering::Relaxed) % keys,
            KeyChoice::TwoChoices => {
                let (one, other) = (fastrand::usize(..keys), fastrand::usize(..keys));
                let worth = |place: usize| eligible.key(place).worth(now);
                if worth(one) >= worth(other) { one } else { other }
            }
        }
    }
}

impl<'a> Eligible<'a> {
    pub(crate) fn len(self) -> usize {
        self.own.len() + self.common.len()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = &'a Arc<Key>> {
        self.starting_at(0)
    }

    /// Each once, from this place on round to it.
    fn starting_at(self, first: usize) -> impl Iterator<Item = &'a Arc<Key>> {
        (first..self.len()).chain(0..first).map(move |place| self.key(place))
    }

    fn key(self, place: usize) -> &'a Arc<Key> {
        let place = self.own.get(place).unwrap_or_else(|| &self.common[place - self.own.len()]);
        &self.keys[*place]
    }
}

impl NoKey {
    /// Of several keys the soonest room counts.
    pub(crate) fn or(self, wait: Option<Duration>) -> Self {
        match (self, wait) {
            (Self::NoRoom(Some(soonest)), Some(wait)) => Self::NoRoom(Some(soonest.min(wait))),
            (Self::NoRoom(known), None) => Self::NoRoom(known),
            (Self::NoneServes | Self::NoRoom(None), wait) => Self::NoRoom(wait),
        }
    }
}
