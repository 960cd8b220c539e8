use std::time::Duration;

use agentscale_core::time::Monotonic;

use super::pool::Pool;

/// How a key stands at this moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeyStatus {
    /// The name of its pool.
    pub pool: String,
    /// Its id.
    pub key: String,
    /// The calls on their way by it, and by those that share its limits.
    pub in_flight: u32,
    /// The smallest free share of its limits, 0 to 1; 0 too where it owes.
    pub free_share: f64,
    /// For how long it is left alone; `None` where it is not.
    pub rests_for: Option<Duration>,
}

impl KeyStatus {
    pub(super) fn of_pool(pool: &Pool, now: Monotonic) -> impl Iterator<Item = Self> {
        pool.keys().iter().map(move |key| Self {
            pool: pool.health().pool().to_owned(),
            key: key.id().to_string(),
            in_flight: key.quota().in_flight(),
            free_share: key.quota().free_share(now),
            rests_for: key.cool_left(now),
        })
    }
}
