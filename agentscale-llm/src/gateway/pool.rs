use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentscale_core::Tenant;
use agentscale_core::layers::CircuitBreaker;
use agentscale_core::time::Monotonic;
use serde::{Deserialize, Serialize};

use super::desk::Desk;
use super::key::{Key, Tokens};
use super::reservation::Reservation;

/// The keys through which one class of models is called.
#[derive(Debug)]
pub(crate) struct Pool {
    keys: Vec<Arc<Key>>,
    choice: KeyChoice,
    next: AtomicUsize,
    breaker: CircuitBreaker,
}

/// How a pool chooses among the keys that have room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KeyChoice {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one of two drawn by chance that has the greater share of its limits free.
    TwoChoices,
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
    pub(crate) fn new(keys: Vec<Arc<Key>>, choice: KeyChoice, breaker: CircuitBreaker) -> Self {
        Self { keys, choice, next: AtomicUsize::new(0), breaker }
    }

    pub(crate) fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }

    pub(crate) fn keys(&self) -> &[Arc<Key>] {
        &self.keys
    }

    /// Reserves a call of `tokens` on a key that serves `tenant`; those of one session on the same key while it has
    /// room, so that the provider's prompt cache is found again.
    pub(crate) fn reserve(
        &self,
        tenant: Option<&Tenant>,
        session: Option<u64>,
        tokens: Tokens,
        spent: &[Arc<str>],
        desk: &Arc<Desk>,
    ) -> Result<Reservation, NoKey> {
        let now = desk.now();
        let permit = match self.breaker.try_acquire() {
            Ok(permit) => permit,
            Err(refused) if self.keys.iter().any(|key| key.serves(tenant)) => {
                return Err(NoKey::NoRoom(refused.retry_after()));
            }
            Err(_) => return Err(NoKey::NoneServes),
        };
        let mut no_key = NoKey::NoneServes;
        let first = self.first(session, now);
        for place in 0..self.keys.len() {
            let key = &self.keys[(first + place) % self.keys.len()];
            if !key.serves(tenant) || spent.contains(key.id()) {
                continue;
            }
            let refused = match key.cool_left(now) {
                Some(left) => Some(left),
                None => match key.quota().take(tokens, now) {
                    Ok(taken) => {
                        return Ok(Reservation::new(Arc::clone(key), Arc::clone(desk), permit, taken));
                    }
                    Err(wait) => wait,
                },
            };
            no_key = no_key.or(refused);
        }
        Err(no_key)
    }

    /// The key that is tried first.
    fn first(&self, session: Option<u64>, now: Monotonic) -> usize {
        let keys = self.keys.len().max(1);
        if let Some(session) = session {
            return usize::try_from(session % keys as u64).unwrap_or(0);
        }
        match self.choice {
            KeyChoice::RoundRobin => self.next.fetch_add(1, Ordering::Relaxed) % keys,
            KeyChoice::TwoChoices => {
                let (one, other) = (fastrand::usize(..keys), fastrand::usize(..keys));
                let share = |key: usize| self.keys.get(key).map_or(0.0, |key| key.quota().free_share(now));
                if share(one) >= share(other) { one } else { other }
            }
        }
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
