use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::limits;
use crate::time::millis;

/// Where the limit of calls in flight starts, how far it goes, and by what rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptiveConcurrencyConfig {
    /// The rule; `aimd`.
    pub algorithm: ConcurrencyAlgorithm,
    /// The limit before anything was learnt, `min` to `max`; 20.
    pub initial: u32,
    /// The limit falls no further, 1 to `max`; 1.
    pub min: u32,
    /// The limit rises no further, up to 1 000 000; 200.
    pub max: u32,
    /// `slow_after_ms`: milliseconds, up to a day and not 0; an answer that took longer is a sign of overload;
    /// 60 000.
    #[serde(rename = "slow_after_ms", with = "millis")]
    pub slow_after: Duration,
}

/// How the limit of calls in flight is found.
///
/// By either, signs of overload take a tenth off the limit, once for all calls that were under way together. One
/// sign in 50 calls is taken for chance, and never cuts alone. A limit of which less than a half is in use does not
/// grow.
///
/// In the simulations of the tests, an other side that refuses, or whose callers give up, serves 95 % and more of
/// its capacity at 2 and at 10 times that load under `aimd`; under `gradient` as much, and half where one call in
/// 150 fails by chance. Where it takes all and never fails, `aimd` rises to `max`; `gradient` keeps the answers
/// within one and a half times their time without load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConcurrencyAlgorithm {
    /// Additive increase: one more for each round of good answers, and until the first sign of overload one
    /// more for each good answer. It needs another side that refuses, or times out, when it has too much.
    Aimd,
    /// The limit also falls while answers take more than one and a half times as long as without load. It needs calls
    /// that take about as long as each other.
    Gradient,
}

impl AdaptiveConcurrencyConfig {
    pub(super) fn check(&self) -> Result<()> {
        const SETTING: &str = "set up an adaptive limit";
        limits::within(SETTING, "max", self.max, 1..=limits::MOST_CALLS)?;
        limits::within(SETTING, "min", self.min, 1..=self.max)?;
        limits::within(SETTING, "initial", self.initial, self.min..=self.max)?;
        limits::within(SETTING, "slow_after_ms", millis::rounded_up(self.slow_after), 1..=limits::DAY_MS)
    }
}

impl Default for AdaptiveConcurrencyConfig {
    fn default() -> Self {
        Self {
            algorithm: ConcurrencyAlgorithm::Aimd,
            initial: 20,
            min: 1,
            max: 200,
            slow_after: Duration::from_secs(60),
        }
    }
}
